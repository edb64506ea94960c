"""Lists as people and programs write them into a field of text: as JSON, as Python or as numpy prints them."""

import ast
import json
import re
from typing import Any

# A text in quotation marks or a number, as Python writes them.
_ENTRY = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[+-]?[0-9]+(?:\.[0-9]*)?""", re.DOTALL)
_BETWEEN = re.compile(r"\s*(,?)\s*")


def written_list(text: str) -> list[Any] | None:
    """The list that a field of text holds: `["a", "b"]`, `['a', 'b']` or `['a' 'b']`; None where it holds none."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return _python_list(text[1:-1].strip())
    return found if isinstance(found, list) else None


def _python_list(text: str) -> list[Any] | None:
    """Texts and numbers, all separated by commas or all by blanks: Python joins texts that stand side by side."""
    entries, separators, place = [], set[str](), 0
    while place < len(text):
        if (entry := _ENTRY.match(text, place)) is None:
            return None
        try:
            entries.append(ast.literal_eval(entry[0]))
        except (ValueError, SyntaxError):
            return None
        between = _BETWEEN.match(text, entry.end())
        assert between is not None  # it matches what is empty
        place = between.end()
        if place < len(text):
            if place == entry.end():
                return None
            separators.add(between[1])
    return entries if len(separators) < 2 else None
