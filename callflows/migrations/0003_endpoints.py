from __future__ import annotations

from typing import Any

from django.db import migrations

# What an old connect held of its endpoint beside its own options.
FLAT = ("uri", "content-type", "headers", "authorization")
OLD_CONTENT_TYPE = "audio/l16;rate=16000"


def nested(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a connect with its endpoint as an object of its own."""
    if "endpoint" in options:
        return options
    # Without a type of sound this one was served; empty headers and an empty authorization were not.
    endpoint = {"type": "websocket", "content-type": OLD_CONTENT_TYPE}
    endpoint |= {name: options[name] for name in FLAT if options.get(name)}
    return {**{name: value for name, value in options.items() if name not in FLAT}, "endpoint": endpoint}


def flat(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a connect to a socket as they were; other endpoints have no old form."""
    endpoint = dict(options.get("endpoint", {}))
    if (kind := endpoint.pop("type", "websocket")) != "websocket":
        raise RuntimeError(
            f"expected only connects to sockets, got one to {kind!r}, which the schema before cannot hold: delete the "
            "flows with such steps and versions, then migrate again; nothing was changed"
        )
    return {**{name: value for name, value in options.items() if name != "endpoint"}, **endpoint}


def convert(apps: Any, schema_editor: Any, change: Any) -> None:
    database = schema_editor.connection.alias
    for step in apps.get_model("callflows", "Step").objects.using(database).filter(action="connect"):
        step.options = change(step.options)
        step.save(update_fields=["options"])
    for version in apps.get_model("callflows", "FlowVersion").objects.using(database).iterator(chunk_size=100):
        connects = [step for step in version.document["steps"] if step["action"] == "connect"]
        for step in connects:
            step["options"] = change(step["options"])
        if connects:
            version.save(update_fields=["document"])


def give_connects_an_endpoint(apps: Any, schema_editor: Any) -> None:
    convert(apps, schema_editor, nested)


def take_endpoints_apart(apps: Any, schema_editor: Any) -> None:
    convert(apps, schema_editor, flat)


class Migration(migrations.Migration):
    dependencies = [("callflows", "0002_whole_contract")]

    operations = [migrations.RunPython(give_connects_an_endpoint, take_endpoints_apart)]
