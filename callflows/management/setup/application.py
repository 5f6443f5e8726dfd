"""Knows how an application is made at Vonage and in the admin."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error
from django.utils.text import slugify

from callflows.management.setup.desk import Answer, Desk, clause
from callflows.management.setup.keyfile import KeyFile, NotKept, Place, keep
from callflows.models import Application
from callflows.vonage.account import VonageError
from callflows.vonage.applications import REGIONS, new, webhooks
from callflows.vonage.checkup import NAMES

VONAGES_HOST = "https://api.nexmo.com"


def create_application(
    desk: Desk,
    *,
    name: str,
    region: str = "",
    fallback_url: str = "",
    key_file: str = "",
    variable: str = "",
    public_key: str = "",
) -> Answer:
    """Make an application at Vonage; its private key, which comes this once, goes into a file."""
    body = new(name, desk.base, fallback=address(fallback_url), region=region, own_key=_own_key(public_key))
    _refuse_second(desk, name)
    variable = variable or _variable(name)
    file = None if public_key else KeyFile(Path(key_file) if key_file else _default_key_file(name))
    try:
        made = _made(desk, body)
        where, wrong = keep_key(desk, made, file) if file else (None, "")
    finally:
        if file:
            file.release()
    application_id = str(made.get("id") or "")
    wrong = " ".join(filter(None, [wrong, _remember(name, application_id, region, variable)]))
    lines = [f"Made the application {name}: {application_id}", *_addresses(made), *_key_lines(where, variable)]
    data = {"application": {"id": application_id, "name": name}, "variable": variable, "region": region}
    return Answer([*lines, *_next(desk, name)], {**data, "key_file": str(where) if where else None}, wrong)


def _made(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return desk.applications.create(body)
    except VonageError as error:
        if error.maybe:
            raise CommandError(
                f"{clause(error)}. It is not known whether the application was made. If so, the next try names it: its "
                "key is lost, so delete it in Vonage's dashboard, and try again."
            ) from None
        raise


def _refuse_second(desk: Desk, name: str) -> None:
    """Refuse a name that an application has already: names need not be unique at Vonage, but people go by them."""
    if len(name) > 100 or not name.strip():
        raise CommandError(f"The name has {len(name)} characters, expected 1 to 100.")
    row = Application.objects.filter(name=name).first()
    if row and desk.applications.find(row.application_id):
        raise CommandError(
            f"The application {name} is there already: {row.application_id}. To change its addresses: python manage.py "
            f"vonage update-urls --application {shlex.quote(name)}. Vonage shows a private key only once: if it is "
            "lost, make an application of another name, and link the numbers to that."
        )
    for each in desk.applications.all():
        if each.get("name") == name:
            raise CommandError(
                f"The account has an application {name} already: {each.get('id')}. To use it: "
                f"python manage.py vonage update-urls --application {each.get('id')}. Else choose another name."
            )


def address(url: str) -> str:
    """Return a fallback address, or raise CommandError when it is none."""
    parts = urlsplit(url)
    if url and not (parts.scheme in ("https", "http") and parts.hostname):
        raise CommandError(f"--fallback-url: expected https://host/path, got {url!r}.")
    return url


def _own_key(file: str) -> str:
    if not file:
        return ""
    try:
        text = Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--public-key: cannot read {file}: {error}") from None
    if "PRIVATE KEY" in text:
        raise CommandError(f"--public-key: {file} holds a private key, which Vonage must never see.")
    if "-----BEGIN PUBLIC KEY-----" not in text:
        raise CommandError(f"--public-key: expected PEM that begins with -----BEGIN PUBLIC KEY-----, got {file}.")
    return text


def _variable(name: str) -> str:
    """Return a name for the environment variable of the key that no other application uses."""
    taken = Application.objects.exclude(name=name).values_list("private_key_variable", flat=True)
    first, second = "VONAGE_PRIVATE_KEY", f"VONAGE_PRIVATE_KEY_{slugify(name).replace('-', '_').upper()}"
    return second[:100] if first in taken else first


def key_folder() -> Path:
    return Path(settings.DATA_DIR) / "keys"


def _default_key_file(name: str) -> Path:
    return key_folder() / f"{slugify(name) or 'application'}.pem"


def keep_key(desk: Desk, application: dict[str, Any], place: Place) -> tuple[Path | None, str]:
    """Return where the private key that came with an application is kept, or why it is nowhere."""
    again = "Delete the application in Vonage's dashboard and make it again: the key is not shown twice."
    keys = application.get("keys")
    key = str(keys.get("private_key") or "") if isinstance(keys, dict) else ""
    if not key:
        return None, f"Vonage gave no private key with the application, so its calls cannot be controlled. {again}"
    try:
        return keep(key, place, desk.ask if sys.stdin.isatty() and not desk.quiet else None), ""
    except NotKept as error:
        return None, f"The private key could not be kept: {error}. {again}"


def _remember(name: str, application_id: str, region: str, variable: str) -> str:
    """Write the application into the admin; return what went wrong."""
    values = {
        "application_id": application_id,
        "api_key": settings.VONAGE_API_KEY,
        "api_host": api_host(region),
        "private_key_variable": variable,
    }
    try:
        Application.objects.update_or_create(name=name, defaults=values)
    except Error as error:
        return f"The admin could not be told: {error}. Add the application there by hand, with its id and {variable}."
    return ""


def api_host(region: str = "") -> str:
    """Return where an application's calls are controlled: its region's host, at the real Vonage."""
    return REGIONS[region] if region and settings.VONAGE_API_URL == VONAGES_HOST else str(settings.VONAGE_API_URL)


def _addresses(application: dict[str, Any]) -> list[str]:
    found = webhooks(application)
    return [f"  {topic}: {found[name].get('address') or 'none'}" for name, topic in NAMES.items()]


def _key_lines(where: Path | None, variable: str) -> list[str]:
    if where is None:
        return [f"The environment variable for its private key: {variable}"]
    return [
        f"Its private key, which Vonage shows only this once: {where}",
        "Back it up, and name it in the environment of the server and the worker:",
        f"  export {variable}_FILE={shlex.quote(str(where))}",
    ]


def _next(desk: Desk, name: str) -> list[str]:
    key = desk.credentials.api_key
    found = [f"Next: python manage.py vonage link NUMBER --application {shlex.quote(name)}"]
    if not settings.SIGNATURE_SECRETS.get(key):
        found.insert(0, f"Set SIGNATURE_SECRETS={key}:SECRET, with the account's signature secret from the dashboard.")
    return found
