"""The text of a proposed study: YAML with a comment for each decision, in plain words."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from shallower.proposals.base import Decision

WIDTH = 118


def inline(value: Any) -> str:
    """A value in YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=2**31, sort_keys=False)
    return text.strip()[1:-1]


def comment(text: str, indent: int = 0) -> list[str]:
    """Lines of a comment."""
    start = " " * indent + "# "
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start + " " * (len(text) - len(text.lstrip(" "))),
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def entry(keys: Mapping[str, Any], reasons: Mapping[str, str] | None = None) -> list[str]:
    """An entry of a list, a key a line, with a comment above those that have a reason."""
    lines: list[str] = []
    for index, (key, value) in enumerate(keys.items()):
        lines += comment(reasons[key], 4) if reasons and key in reasons else []
        lines.append(f"{'    ' if index else '  - '}{key}: {inline(value)}")
    return lines


def mapping(name: str, keys: Mapping[str, Any]) -> list[str]:
    """A mapping at the study's top level."""
    return [f"{name}:", *(f"  {key}: {inline(value)}" for key, value in keys.items())] if keys else [f"{name}: {{}}"]


def reasons(decisions: Sequence[Decision]) -> dict[str, str]:
    """Comments by key."""
    return {
        each.key: f"{each.reason[:1].upper()}{each.reason[1:]}.{f' Other: {each.other}.' if each.other else ''}"
        for each in decisions
    }


def sections(parts: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Sections with a comment above each, divided by empty lines."""

    def written() -> Iterator[str]:
        for text, lines in parts:
            yield "\n".join([*(line for part in text.splitlines() for line in comment(part)), *lines])

    return "\n\n".join(written()) + "\n"
