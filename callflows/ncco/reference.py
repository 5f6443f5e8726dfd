"""Knows how the catalogue reads as a page: ``python -m callflows.ncco.reference > docs/ncco.md`` writes it anew."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from callflows.ncco.actions import ACTIONS
from callflows.ncco.document import DEEPEST
from callflows.ncco.endpoints import ENDPOINTS
from callflows.ncco.option import Option, options
from callflows.ncco.problems import LIVE_TESTS, REFERENCE
from callflows.ncco.rules import ACTION_RULES, BARGE_IN, ENDPOINT_RULES, SOCKET, TRANSFER, Rule
from callflows.ncco.wording import span

_KINDS = {
    "text": "text",
    "whole": "whole number",
    "number": "number",
    "flag": "true or false",
    "texts": "list of texts",
    "object": "object",
}
_TOLERATED = {
    "plus": "+ before it",
    "list": "as a list of one, or an empty one",
    "entry": "a text, not in a list",
    "values": "numbers, true and false among its values",
    "flag": "true or false, for the default",
}

_HEAD = """\
# NCCO: actions, endpoints, options

Everything that Callflows knows of Vonage's call control documents, and checks before a flow is published and with
`python manage.py check_ncco FILE...`. This page is generated from the catalogue in `callflows/ncco/`; write it anew
with `python -m callflows.ncco.reference > docs/ncco.md`.

An NCCO is a list of actions, done in order; the call ends after the last. An **error** makes Vonage refuse the whole
document. A **warning** tells of something that works with a catch, or that Vonage's sources disagree about.

In the tables a name with a dot is an option inside an object: `dtmf.timeOut` is `{"dtmf": {"timeOut": ...}}`. *Form*
says whether the admin's form of a step has the option; an import keeps the others, and `eventUrl` and the like are
written by Callflows. *Default* is what Vonage does without the option. In *Limits*, what stands after "warning:" is
taken, with a warning."""

_ALWAYS = f"""\
## Warnings in every action and endpoint

- An option that Vonage does not document: it is kept and served.
- A number or a flag in quotes (`"45"`, `"true"`), as in some of Vonage's own examples, and a whole number written as
  `45.0`.
- `eventMethod` in lower case (`"post"`).
- A text with half a character, which UTF-8 cannot carry.

## Errors in every document

- It is no list, or an entry is no object; an `action` or a `type` is missing or unknown. Names are in lower case, and
  the action `pay` is gone.
- A value of another type, `null` too: whoever means the default leaves the option out.
- A list of two where one is asked for: `endpoint`, and every list of addresses (`eventUrl`, `streamUrl`, ...).
- Nesting of more than {DEEPEST} levels, and numbers that JSON does not have (NaN, infinity).

## Of a file

`check_ncco` also tells what a file is besides: one that cannot be read, is not UTF-8 or no JSON is one error; a byte
order mark, and a name that comes twice in an object, are warnings."""


def page() -> str:
    """Return the whole page as Markdown."""
    return "\n".join([_HEAD, *_sections("Actions", ACTIONS, ACTION_RULES), *_between()]) + "\n"


def _between() -> Iterator[str]:
    yield from ("", "## Rules between actions", "")
    yield f"- {BARGE_IN} Otherwise an error ({REFERENCE})."
    yield f"- {SOCKET} Otherwise a warning ({LIVE_TESTS})."
    yield f"- {TRANSFER} Otherwise a warning ({REFERENCE})."
    yield from _sections("Endpoints of a connect", ENDPOINTS, ENDPOINT_RULES)
    yield from ("", _ALWAYS)


def _sections(title: str, models: Mapping[str, type[BaseModel]], rules: Iterable[Rule]) -> Iterator[str]:
    yield from ("", f"## {title}")
    for name, model in models.items():
        yield from ("", f"### {name}", "", inspect.cleandoc(model.__doc__ or ""), "")
        yield from _table(model)
        told = [rule for rule in rules if name in rule.of]
        yield from ["", "Rules:", ""] if told else []
        yield from (f"- {rule.text} Otherwise {_an(rule.severity)} ({rule.source})." for rule in told)


def _an(severity: str) -> str:
    return f"an {severity}" if severity == "error" else f"a {severity}"


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| Option | Type | Default | Limits | What it does | Form | Source |"
    yield "|---|---|---|---|---|---|---|"
    for each in options(model):
        if each.name not in ("action", "type") or each.form:
            cells = (
                f"`{each.name}`",
                _type(each),
                _default(each),
                _limits(each),
                each.help_text + (f" Old: {each.old}." if each.old else ""),
                "yes" if each.form else "",
                each.source,
            )
            yield f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return a text as a table's cell takes it; between backquotes it is shown as it is."""
    return text if "`" in text else text.replace("<", "&lt;")


def _type(each: Option) -> str:
    if each.choices:
        choices = " ".join(f"`{choice}`" for choice in each.choices)
        return f"list of {choices}" if each.kind == "texts" else choices
    kind = _KINDS[each.kind]
    return f"{kind}, {each.unit}" if each.unit else kind


def _default(each: Option) -> str:
    if each.required:
        return "required"
    if each.default is None:
        return ""
    return f"`{str(each.default).lower() if isinstance(each.default, bool) else each.default}`"


def _limits(each: Option) -> str:
    hard, usual = span((each.minimum, each.maximum)), span(each.usual)
    said = [usual, each.form_of_text]
    if each.longest:
        listed = each.kind in ("texts", "object")
        said.append("exactly one" if listed else f"at most {each.longest} characters")
    if usual != hard:
        said.append(f"warning: {hard or 'any other'}")
    if each.step:
        said.append(f"warning: between steps of {each.step:g}")
    said += [f"warning: other than {', '.join(each.known)}"] if each.known else []
    said += [f"warning: `{value}`" for value in each.doubtful]
    said += [f"warning: {_TOLERATED[each.tolerated]}"] if each.tolerated else []
    return "; ".join(filter(None, said))


if __name__ == "__main__":
    sys.stdout.write(page())
