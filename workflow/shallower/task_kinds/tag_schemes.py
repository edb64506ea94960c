"""Schemes by which tags of words mark entities: which of them the tags of a task are in, decided once over all tags.

A tag is O, outside all entities, or a prefix, a hyphen and a type, such as B-person. The prefixes that occur decide:

- IOB2: B begins each entity, I goes on;
- IOB1: I does both, B begins only an entity that follows another one of its type at once;
- IOBES: as IOB2, and E ends an entity of several words, S is one of a single word;
- BILOU: the same with L (last) and U (unit) for E and S.

IOB1 and IOB2 have the same prefixes. A task is in IOB2 unless some training sentence has an I that no B or I of its
type precedes. Tags without prefixes, as parts of speech have, are in no scheme: they mark no entities.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

IOB1, IOB2, IOBES, BILOU = "IOB1", "IOB2", "IOBES", "BILOU"
PREFIXES = {IOB2: frozenset("BI"), IOBES: frozenset("BIES"), BILOU: frozenset("BILU")}
OUTSIDE = "O"

_TAG = re.compile(r"([A-Z])-(.+)")


@dataclass(frozen=True)
class Tagging:
    """How tags are read as entities.

    Attributes:
        tags: by their ids.
        scheme: one of the schemes above.
        strict: whether only entities that the scheme allows count: B-x I-x, not an I-x after O. Otherwise a wrong
            beginning still begins an entity, as in CoNLL's own scorer.
    """

    tags: tuple[str, ...]
    scheme: str
    strict: bool = False


def parts(tag: str) -> tuple[str, str] | None:
    """The prefix and the type of a tag; None for O and for a tag without a prefix."""
    found = _TAG.fullmatch(tag)
    return (found[1], found[2]) if found else None


def entity_types(tags: Iterable[str]) -> list[str]:
    """The types of entities that tags mark, each once, in the order of the tags."""
    return list(dict.fromkeys(part[1] for tag in tags if (part := parts(tag))))


def scheme_of(tags: Sequence[str], sentences: Iterable[Sequence[int]] = ()) -> str | None:
    """The scheme of tags, by the sentences of ids that are to decide between IOB1 and IOB2; None where it is none.

    Raises ValueError, with what is wrong, where some tags have prefixes and others do not, or the prefixes are of no
    scheme.
    """
    found = {tag: parts(tag) for tag in tags if tag != OUTSIDE}
    with_prefix = {tag: part for tag, part in found.items() if part}
    # A hyphen does not make an entity: tags such as X-ADV of some parts of speech stand beside others without one.
    if not with_prefix or OUTSIDE not in tags:
        return None
    if without := [tag for tag in found if tag not in with_prefix]:
        raise ValueError(
            f"{without[0]!r} has no prefix such as B-, which {next(iter(with_prefix))!r} has; correct the tags"
        )
    prefixes = {part[0] for part in with_prefix.values() if part}
    scheme = next((name for name, allowed in PREFIXES.items() if prefixes <= allowed), None)
    if scheme is None:
        unknown = sorted(prefixes - frozenset("BIESLU"))
        which = f"the prefix {unknown[0]}- is of none" if unknown else f"the prefixes {', '.join(sorted(prefixes))} are"
        raise ValueError(
            f"{which} of the schemes IOB1 and IOB2 (B, I), IOBES (B, I, E, S) and BILOU (B, I, L, U); rewrite the tags"
            if unknown
            else f"{which} of different schemes: IOB1 and IOB2 (B, I), IOBES (B, I, E, S), BILOU (B, I, L, U); rewrite "
            "the tags in one"
        )
    if scheme == IOB2 and any(_has_lone_inside(sentence, tags) for sentence in sentences):
        return IOB1
    return scheme


def _has_lone_inside(sentence: Sequence[int], tags: Sequence[str]) -> bool:
    before = None
    for index in sentence:
        here = parts(tags[index])
        if here and here[0] == "I" and (before is None or before[1] != here[1]):
            return True
        before = here
    return False
