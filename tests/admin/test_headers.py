from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from callflows.models import HeaderSet
from callflows.ncco.headers import size
from tests.admin.forms import field_errors, rows

pytestmark = pytest.mark.django_db

ADD = "/admin/callflows/headerset/add/"


def header(key: str, value: str, kind: str = "text") -> dict[str, str]:
    return {"key": key, "kind": kind, "value": value}


def save(client: Client, *headers: dict[str, str]) -> Any:
    return client.post(ADD, {"name": "Call", **rows("rows", *headers)})


def filled(length: int, letter: str = "x") -> dict[str, str]:
    """Return one header with which the whole set is ``length`` bytes of JSON."""
    return header("k", letter * ((length - size({"k": ""})) // len(letter.encode())))


def test_text_and_json_values_are_kept(admin_client: Client) -> None:
    assert save(admin_client, header("caller", "{{ from }}"), header("tags", '["a", 1]', "json")).status_code == 302
    assert HeaderSet.objects.get().values() == {"caller": "{{ from }}", "tags": ["a", 1]}
    page = admin_client.get("/admin/callflows/headerset/").content.decode()
    assert f"{size(HeaderSet.objects.get().values())} of 512 bytes" in page


def test_512_bytes_are_allowed(admin_client: Client) -> None:
    assert save(admin_client, filled(512)).status_code == 302
    assert size(HeaderSet.objects.get().values()) == 512


@pytest.mark.parametrize("letter", ["x", "ж"])
def test_more_than_512_bytes_are_refused_beside_the_rows(admin_client: Client, letter: str) -> None:
    """The second one has few letters, and each of them has two bytes."""
    length = 513 if letter == "x" else 514
    assert field_errors(save(admin_client, filled(length, letter))) == {
        "rows": [f"headers: {length} bytes as JSON, at most 512 allowed"]
    }
    assert not HeaderSet.objects.exists()


def test_bytes_are_counted_over_all_rows(admin_client: Client) -> None:
    half = "x" * 260
    assert "at most 512 allowed" in field_errors(save(admin_client, header("a", half), header("b", half)))["rows"][0]


def test_duplicate_and_reserved_keys_are_refused_all_at_once(admin_client: Client) -> None:
    sent = [header("a", "1"), header("a", "2"), header("Content-Type", "x"), header("event", "y")]
    assert sorted(field_errors(save(admin_client, *sent))["rows"]) == [
        "'Content-Type' is a member of Vonage's own, which would overwrite it",
        "'a' stands twice: each header needs a name of its own",
        "'event' is a member of Vonage's own, which would overwrite it",
    ]


@pytest.mark.parametrize("value", ["{", "NaN", '{"a": Infinity}', ""])
def test_value_that_is_no_json_is_told_on_its_row(admin_client: Client, value: str) -> None:
    found = field_errors(save(admin_client, header("a", "1"), header("b", value, "json")))
    assert found["rows-1-value"][0].startswith(f"expected JSON, got {value!r}")


def test_removed_row_does_not_count(admin_client: Client) -> None:
    headers = HeaderSet.objects.create(name="Call")
    row = headers.rows.create(key="a", value="1")
    old: dict[str, Any] = {**header("a", "1"), "id": row.pk, "header_set": headers.pk, "DELETE": "on"}
    page = f"/admin/callflows/headerset/{headers.pk}/change/"
    response = admin_client.post(page, {"name": "Call", **rows("rows", old, header("a", "2"), initial=1)})
    assert response.status_code == 302, field_errors(response)
    assert headers.values() == {"a": "2"}


def test_what_values_can_make_of_headers_is_told_when_they_are_saved(admin_client: Client) -> None:
    sent = [header("caller", "{{ from }}"), header("name", "{{ name }}"), header("long", "x" * 466)]
    response = admin_client.post(ADD, {"name": "Call", **rows("rows", *sent)}, follow=True)
    assert [str(each) for each in response.context["messages"] if each.level_tag == "warning"] == [
        "up to 514 bytes as JSON with the longest values, at most 512 allowed: "
        "a call beyond that leaves its largest headers out",
        "no value is called 'name': sockets get its default, or nothing",
    ]
