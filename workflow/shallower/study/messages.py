"""How a problem of a study is worded: the key, the value, what is wrong with it, and what to write instead."""

import difflib
import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from shallower.core.wording import counted
from shallower.study.names import RENAMED_KEYS

# Where something is in a study: keys, and indices of lists.
KeyPath = tuple[int | str, ...]

# How many unknown keys of a mapping are reported.
MAX_REPORTED_KEYS = 10
QUOTES = "'\""

# What pydantic's errors of type expect.
EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "amount_type": "a number or a list of layer indices",
}

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 3, 80, 80


def shown(value: Any) -> str:
    """A value as it stands in a message: long ones are cut."""
    return _short.repr(value)


def place(config: Any, path: KeyPath) -> str:
    """A key as a person writes it, with the names of list entries: tasks[1] (mrpc).train.epochs."""
    text, node = "", config
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):  # the key is missing
            node = None
        if isinstance(part, int):
            text += f"[{part}]"
            if isinstance(node, Mapping) and isinstance(node.get("name"), str):
                text += f" ({shown(node['name']).strip(QUOTES)})"
        else:
            text += f".{part}" if text else part
    return text or "study file"


def unknown(what: str, value: Any, known: Iterable[Any], meant: str | None = None) -> str:
    """That a name is not known, with what was probably meant and all names that there are."""
    names = ["null" if name is None else str(name) for name in known]
    close = _resembling(value, names) if meant is None else meant
    hint = f"did you mean {close!r}? " if close else ""
    return f"unknown {what} {shown(value)}; {hint}known: {', '.join(names)}"


def unknown_keys(keys: Iterable[Any], known: Iterable[str]) -> str:
    """That a mapping has keys that it must not have."""
    names = sorted(known)
    first, *more = sorted(map(str, keys))[:MAX_REPORTED_KEYS]
    meant = {key: RENAMED_KEYS.get(key) or _resembling(key, names) for key in (first, *more)}
    if not more:
        return unknown("key", first, names, meant[first])
    hints = {key: f" (did you mean {close!r}?)" if close else "" for key, close in meant.items()}
    return f"unknown keys {', '.join(shown(key) + hint for key, hint in hints.items())}; known: {', '.join(names)}"


def _resembling(value: Any, names: Sequence[str]) -> str | None:
    """The name that a value resembles most, if any."""
    return next(iter(difflib.get_close_matches(str(value)[:80], names, n=1)), None)


def missing_keys(keys: Iterable[str]) -> str:
    """That a mapping lacks keys."""
    names = [repr(key) for key in keys]
    return f"missing {', '.join(names)}; add {'it' if len(names) == 1 else 'them'}"


def malformed(error: ErrorDetails, rule: Mapping[str, Any]) -> str:
    """What is wrong with a value by itself, by pydantic's error and the schema's rule for the value."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "literal_error" | "unknown_name":
            return unknown(context.get("what", "value"), value, rule["enum"])
        case "pattern" | "not_finite" | "repeats":  # of shallower.study.fields
            return f"{shown(value)} {error['msg']}"
        case "too_short" | "string_too_short":
            return f"{shown(value)} is empty or too short; write at least {_size(value, context['min_length'])}"
        case "too_long" | "string_too_long":
            return f"{shown(value)} is too long; write at most {_size(value, context['max_length'])}"
        case "greater_than_equal":
            return f"{shown(value)} is less than the minimum of {context['ge']}"
        case "less_than_equal":
            return f"{shown(value)} is greater than the maximum of {context['le']}"
        case "greater_than":
            return f"{shown(value)} is too small; write a number above {context['gt']}"
        case "less_than":
            return f"{shown(value)} is too large; write a number below {context['lt']}"
        case "string_unicode":
            return f"{shown(value)} holds half of a surrogate pair, which is no text; remove it"
        case _ if kind in EXPECTED:
            return f"{shown(value)} is not {EXPECTED[kind]}{_type_hint(value, kind)}"
        case _:
            return f"{shown(value)} is not allowed here ({kind}); correct it"


def _size(value: Any, length: int) -> str:
    return counted(length, "character") if isinstance(value, str) else str(length)


def _type_hint(value: Any, kind: str) -> str:
    """What may have gone wrong where a value is of another type than it should be."""
    match value:
        case None:
            return "; write a value, or remove the key"
        case bool() if kind == "string_type":
            return "; YAML reads yes, no, on, off, true and false as such: put the text in quotes"
        case str() if kind in ("int_type", "float_type", "amount_type") and (number := _as_yaml_number(value)):
            # YAML itself takes 2e-5 for text, but 2 only in quotes, and all that stands in a mapping of --config.
            hint = (
                " (in --config, what is inside a mapping is text: use a second --configfile)" if number == value else ""
            )
            return f"; YAML reads this as text: write {number} without quotes{hint}"
        case float() if kind == "int_type" and value.is_integer():
            return f"; write {value:.0f}"
        case int() | float() if kind == "string_type":
            return "; put the text in quotes"
        case _:
            return ""


def _as_yaml_number(text: str) -> str | None:
    """How to write a number that YAML takes for text, such as 2e-5; None for other texts."""
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?", text):
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    whole = number.is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else re.sub(r"^(-?\d+)e", r"\1.0e", repr(number))
