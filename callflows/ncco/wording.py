"""Knows how an error of an option's check is told: what was expected, and what came."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from callflows.ncco.option import SHAPES, Bounds
from callflows.ncco.problems import shown

_WORDS = {
    "missing": "is required",
    "string_type": "expected text, got {got}",
    "int_type": "expected a whole number, got {got}",
    "int_from_float": "expected a whole number, got {got}",
    "float_type": "expected a number, got {got}",
    "finite_number": "expected a number, got {got}",
    "bool_type": "expected true or false, got {got}",
    "list_type": "expected a list, got {got}",
    "dict_type": "expected an object, got {got}",
    "model_type": "expected an object, got {got}",
    "greater_than_equal": "expected at least {ge}, got {got}",
    "less_than_equal": "expected at most {le}, got {got}",
    "literal_error": "expected {expected}, got {got}",
    # The catalogue's lists are of exactly one, or of any length.
    "too_long": "expected exactly one entry, got {actual_length}",
    "too_short": "expected exactly one entry, got none",
    "string_too_short": "expected at least {min_length} characters, got {got}",
    "string_too_long": "expected at most {max_length} characters, got {length}",
    "string_pattern_mismatch": "expected {form}, got {got}",
}


def message(error: ErrorDetails) -> str:
    """Return what an error says to people."""
    context = error.get("ctx", {})
    words = _WORDS.get(error["type"])
    if words is None:
        # What a model's own check says, without pydantic's "Value error" before it.
        return str(context["error"]) if error["type"] == "value_error" else error["msg"]
    pattern = context.get("pattern", "")
    value = error["input"]
    length = len(value) if isinstance(value, str) else 0
    values = {**context, "form": SHAPES.get(pattern, f"the form {pattern}"), "got": shown(value), "length": length}
    return words.format(**values)


def span(bounds: Bounds) -> str:
    """``1 to 20``, ``at least 3``, ``at most 5``; nothing without bounds."""
    low, high = (f"{bound:g}" if bound is not None else "" for bound in bounds)
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""
