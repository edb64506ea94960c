"""Text of others in Markdown and YAML: shown as it is, whatever characters are in it.

Names of classes, paths and the like may hold markup. `escaped` is applied to all that a card's template inserts, unless
it is `Markdown` already.
"""

import re
from typing import Any

# Characters that begin or end a construct of CommonMark, of GitHub's tables and strikethrough, or of formulas.
_MARKUP = re.compile(r"([\\`*_\[\](){}<>|~$#!])")
_LINKS = re.compile(r"(?i)\b(https?|ftp|mailto)(?=:)|\bwww(?=\.)|@")
LONGEST = 200


class Markdown(str):
    """Text that is Markdown already, and is inserted as it is."""

    __slots__ = ()


def plain(value: Any) -> str:
    """A value as one line of printable characters, at most `LONGEST` of them; what is not printable becomes U+FFFD."""
    line = " ".join(str(value).split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def escaped(value: Any) -> Markdown:
    """A value as Markdown that shows it literally, on one line, in a sentence or a cell of a table."""
    if isinstance(value, Markdown):
        return value
    text = _MARKUP.sub(r"\\\1", plain(value).replace("&", "&amp;"))
    # Addresses become links by themselves, unless a character of them is an entity.
    text = _LINKS.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", text)
    # Lists and underlines of headings begin only at the start of a line.
    return Markdown(re.sub(r"^(?:(\d{1,9})(?=\.(?:\s|$))|(?=[-+=]))", r"\1\\", text))


def literal(value: str | int) -> Markdown:
    """A value as a literal of Python in ASCII, on one line of a block of code."""
    return Markdown(ascii(value))
