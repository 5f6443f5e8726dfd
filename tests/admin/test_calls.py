from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from callflows import live
from callflows.models import Call, Line, Recording, TimelineEntry
from tests import dates
from tests.admin.forms import messages, someone
from tests.make import CALLER, ECHO, NUMBER, ROOM, UUID, make_flow, make_number, make_prompt

pytestmark = pytest.mark.django_db

CALLS = "/admin/callflows/call/"
START = dates.EXAMPLE


def make_call(uuid: str = UUID, **fields: Any) -> Call:
    facts = {
        "status": "completed",
        "caller": CALLER,
        "number_text": NUMBER,
        "flow_name": "Echo",
        "time_zone": "America/New_York",
    }
    times = {"created": START, "started": START, "answered": START, "ended": START + timedelta(seconds=67)}
    call = Call.objects.create(uuid=uuid, **{**facts, **times, **fields})
    call.legs.create(uuid=uuid, room=f"{ROOM}-{call.pk}", kind="phone", caller=CALLER, direction="inbound")
    return call


def make_line(call: Call, state: str = Line.State.OPEN) -> Line:
    flow = make_flow(ECHO)
    return Line.objects.create(
        call=call, version=flow.live, step="echo", app="echo", expires=START, state=state, opened=START
    )


def page_of(client: Client, call: Call) -> str:
    response = client.get(f"{CALLS}{call.pk}/change/")
    assert response.status_code == 200
    return str(response.content.decode())


def test_list_says_who_called_what_how_it_ended_and_how_long(admin_client: Client) -> None:
    make_call(outcome="machine")
    page = admin_client.get(CALLS).content.decode()
    assert '<span class="phone"><span>44</span><span>7700</span><span>900123</span></span>' in page
    assert '<span class="badge quiet">completed</span>' in page
    assert "machine" in page
    assert "1:07" in page
    assert '04:15 <span class="zone">EST</span>' in page
    assert 'title="2026-03-02 04:15:00.000 America/New_York"' in page


@pytest.mark.parametrize("term", [UUID, "+44 7700 900123", "447700900123", "leg-of-another-room"])
def test_call_is_found_by_uuid_room_leg_and_caller(admin_client: Client, term: str) -> None:
    call, _ = make_call(), make_call(uuid="other", caller="15550101234")
    call.legs.create(uuid="leg-of-another-room", room="CON-b")
    found = admin_client.get(CALLS, {"q": term}).context["cl"].queryset
    assert list(found) == [call]


def test_call_is_found_by_its_conversation(admin_client: Client) -> None:
    call, _ = make_call(), make_call(uuid="other")
    assert list(admin_client.get(CALLS, {"q": f"{ROOM}-{call.pk}"}).context["cl"].queryset) == [call]


def test_filters_and_dates_narrow_the_list(admin_client: Client) -> None:
    number = make_number(make_flow(ECHO))
    call = make_call(number=number, flow=number.flow, outcome="busy")
    make_call(uuid="other", status="answered", created=START - timedelta(days=40))
    narrowings: tuple[dict[str, Any], ...] = (
        {"status__exact": "completed"},
        {"outcome": "busy"},
        {"number__id__exact": number.pk},
        {"flow__id__exact": call.flow_id},
        {"created__year": 2026, "created__month": 3},
    )
    for chosen in narrowings:
        assert list(admin_client.get(CALLS, chosen).context["cl"].queryset) == [call], chosen


def make_call_out(**fields: Any) -> Call:
    facts = {"direction": "outbound", "caller": NUMBER, "called": "442079460123", "number_text": NUMBER}
    return make_call("out", **{**facts, **fields})


def test_call_out_shows_whom_it_called(admin_client: Client) -> None:
    call, _ = make_call_out(), make_call()
    page = " ".join(admin_client.get(CALLS, {"q": "+44 20 7946 0123"}).content.decode().split())
    callee = '<span class="phone"><span>44</span><span>20</span><span>7946</span><span>0123</span></span>'
    assert f'{callee} <span class="quiet">call out</span>' in page
    assert list(admin_client.get(CALLS, {"q": "+44 20 7946 0123"}).context["cl"].queryset) == [call]
    assert list(admin_client.get(CALLS, {"direction": "outbound"}).context["cl"].queryset) == [call]
    page = page_of(admin_client, call)
    assert "<h1>Call to +44 20 7946 0123</h1>" in page
    assert callee in page


def test_call_out_whose_number_vonage_chooses_says_so(admin_client: Client) -> None:
    make_call_out(caller="", number_text="")
    assert "one of our numbers" in admin_client.get(CALLS).content.decode()


def test_outcome_that_the_status_says_already_is_not_repeated(admin_client: Client) -> None:
    make_call(outcome="completed")
    assert admin_client.get(CALLS).content.decode().count('<span class="badge quiet">completed</span>') == 1


def test_filters_are_words_and_numbers_as_people_read_them(admin_client: Client) -> None:
    number = make_number(make_flow(ECHO), name="Desk")
    make_call(number=number, flow=number.flow, outcome="")
    make_call("other", outcome="not served")
    filters = {each.title: each for each in admin_client.get(CALLS).context["cl"].filter_specs}
    changes = admin_client.get(CALLS).context["cl"]
    shown = {title: [str(each["display"]) for each in spec.choices(changes)] for title, spec in filters.items()}
    assert shown["number"] == ["All", "+44 7700 900001 Desk", "none"]
    assert shown["outcome"] == ["All", "none", "not served"]
    assert shown["flow"] == ["All", "Echo", "none"]
    assert "time" in shown
    (undecided,) = admin_client.get(CALLS, {"outcome": ""}).context["cl"].queryset
    assert undecided.number == number
    counted = admin_client.get(CALLS, {"_facets": "True"}).content.decode()
    assert "none (1)" in counted


def test_list_of_50_calls_takes_as_many_queries_as_one_of_1(
    admin_client: Client, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    number = make_number(make_flow(ECHO))
    make_call(number=number, flow=number.flow)
    # What every page tells of refused webhooks is read once in a while.
    admin_client.get(CALLS)
    with django_assert_max_num_queries(15) as counted:
        admin_client.get(CALLS)
    for place in range(49):
        make_call(uuid=f"call-{place}", number=number, flow=number.flow)
    with django_assert_num_queries(len(counted)):
        assert len(admin_client.get(CALLS).context["cl"].result_list) == 50


def test_page_of_a_long_call_takes_few_queries(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    call = make_call()
    leg = call.legs.get()
    for place in range(60):
        call.note("event", f"entry {place}", leg=leg)
    # Its session is written down as in use, once in a while.
    page_of(admin_client, call)
    with django_assert_max_num_queries(12):
        page_of(admin_client, call)


def test_timeline_stands_in_order_with_seconds_from_the_start(admin_client: Client) -> None:
    call = make_call()
    call.note("event", "later", at=START + timedelta(seconds=67.54))
    call.note("answer", "first", at=START + timedelta(milliseconds=120), data={"ncco": [{"action": "talk"}]})
    page = admin_client.get(f"{CALLS}{call.pk}/change/")
    shown = [(each.offset, each.word, each.text) for each in page.context["entries"]]
    assert shown == [("0.1", "Answer webhook", "first"), ("1:07.5", "Event", "later")]
    assert "<summary>NCCO</summary>" in page.content.decode()
    assert "times in America/New_York" in page.content.decode()
    assert "04:16:07" in page.content.decode()


def test_no_token_stands_on_any_page(admin_client: Client) -> None:
    address = "ws://testserver/socket/abc/TOPSECRET"
    call = make_call(caller=address, called=address, number_text="")
    line = make_line(call)
    address = f"wss://callflows.example{line.path}"
    document = [{"action": "connect", "endpoint": [{"type": "websocket", "uri": address}]}]
    call.legs.create(uuid="socket", kind="websocket", called=address, direction="outbound")
    call.note("event", f"to {address}", data={"raw": {"to": address}, "ncco": document}, reply=str(document))
    for page in (page_of(admin_client, call), admin_client.get(CALLS).content.decode()):
        assert line.token not in page
        assert line.nonce not in page
        assert "TOPSECRET" not in page


def test_calls_are_neither_added_nor_changed_nor_deleted(admin_client: Client) -> None:
    call = make_call()
    assert admin_client.get(f"{CALLS}add/").status_code == 403
    assert admin_client.post(f"{CALLS}{call.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(f"{CALLS}{call.pk}/change/", {"caller": "someone else"})
    call.refresh_from_db()
    assert call.caller == CALLER
    assert "delete_selected" not in admin_client.get(CALLS).content.decode()


def test_call_that_is_none_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(f"{CALLS}77/change/").status_code == 404
    for rubbish in ("rubbish", "²", "9" * 40):
        assert admin_client.get(f"{CALLS}{rubbish}/change/").status_code == 404


def test_recordings_play_only_for_those_who_may_listen(admin_client: Client) -> None:
    call = make_call()
    line = make_line(call, Line.State.CLOSED)
    recording = Recording.objects.create(call=call, line=line, file="recordings/kept/x.wav", seconds=9.4)
    source = f'src="/files/recordings/{recording.pk}.wav"'
    assert source in page_of(admin_client, call)
    page = page_of(someone("view_call"), call)
    assert source not in page
    assert "Can listen to recordings" in page
    assert source in page_of(someone("view_call", "listen_recording", name="ben"), call)


def test_nobody_sees_calls_without_the_permission() -> None:
    call = make_call()
    assert someone("view_callflow").get(f"{CALLS}{call.pk}/change/").status_code == 403
    response = Client().get(f"{CALLS}{call.pk}/change/")
    assert response.status_code == 302
    assert "/login/" in response["Location"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int, str]]:
    """What lines are told, instead of telling them."""
    heard: list[tuple[str, str, int, str]] = []

    async def command(line: str, name: str, *, version: int = 0, by: str = "") -> None:
        heard.append((line, name, version, by))

    monkeypatch.setattr(live, "command", command)
    return heard


Told = list[tuple[str, str, int, str]]


def say(client: Client, line: Line, call_id: int | None = None, **sent: Any) -> Any:
    url = f"{CALLS}{call_id or line.call_id}/lines/{line.pk}/command/"
    return client.post(url, sent, follow=True)


def test_live_line_is_told_by_buttons(admin_client: Client, told: Told) -> None:
    call = make_call(status="answered", ended=None)
    line, prompt = make_line(call), make_prompt()
    version = prompt.newest
    assert version is not None
    assert "Hang up" in page_of(admin_client, call)
    page = say(admin_client, line, command="hang_up")
    assert messages(page) == ["The line was told to hang up. What it did stands on the timeline in a moment."]
    say(admin_client, line, command="stop")
    say(admin_client, line, command="play", version=version.pk)
    names = [("hang_up", 0), ("stop", 0), ("play", version.pk)]
    assert told == [(line.pk, name, number, "admin") for name, number in names]


def test_line_that_joined_the_call_says_so(admin_client: Client) -> None:
    call = make_call(status="answered", ended=None)
    line = make_line(call)
    assert '<span class="quiet">step echo</span>' in page_of(admin_client, call)
    Line.objects.filter(pk=line.pk).update(step="")
    assert '<span class="quiet">joined the call</span>' in page_of(admin_client, call)


def test_only_those_who_may_change_calls_command_lines(told: Told) -> None:
    call = make_call(status="answered", ended=None)
    line = make_line(call)
    reader, editor = someone("view_call"), someone("view_call", "change_call", name="ben")
    assert "Hang up" not in page_of(reader, call)
    assert say(reader, line, command="hang_up").status_code == 403
    assert told == []
    assert say(editor, line, command="hang_up").status_code == 200
    assert told == [(line.pk, "hang_up", 0, "ben")]


def test_wrong_commands_tell_nothing(admin_client: Client, told: Told) -> None:
    call, other = make_call(status="answered", ended=None), make_call(uuid="other")
    line = make_line(call)
    assert say(admin_client, line, command="explode").status_code == 400
    assert say(admin_client, line, call_id=other.pk, command="hang_up").status_code == 404
    assert admin_client.get(f"{CALLS}{call.pk}/lines/{line.pk}/command/").status_code == 405
    for version in ("77", "²"):
        page = say(admin_client, line, command="play", version=version)
        assert messages(page) == ["Choose the prompt that is to be played."]
    Line.objects.update(state=Line.State.CLOSED)
    assert messages(say(admin_client, line, command="stop")) == ["The line is not live any more."]
    assert told == []


def test_every_kind_of_entry_has_an_icon() -> None:
    path = finders.find("callflows/icons.svg")
    assert path
    with open(path, encoding="utf-8") as file:
        icons = file.read()
    assert all(f'<symbol id="{kind}"' in icons for kind in TimelineEntry.Kind.values)
