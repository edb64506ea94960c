"""A study as it is written, before it is known to be sound."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shallower.study.messages import KeyPath, place

AXES = ("models", "tasks", "origins")


@dataclass(frozen=True)
class Draft:
    """A study as it is written, of which some parts may be malformed.

    `malformed` are the paths of values that their types refuse and of keys that are missing. Unknown keys do not count.
    """

    config: Mapping[str, Any]
    malformed: Collection[KeyPath]

    @cached_property
    def _malformed_within(self) -> Mapping[KeyPath, set[int | str]]:
        """For each path to something malformed, the keys or indices in which that is."""
        within: dict[KeyPath, set[int | str]] = {}
        for path in self.malformed:
            for depth, part in enumerate(path):
                within.setdefault(path[:depth], set()).add(part)
        return within

    @cached_property
    def _malformed(self) -> frozenset[KeyPath]:
        return frozenset(self.malformed)

    def is_sound(self, *path: int | str, but: Collection[str] = ()) -> bool:
        """Whether a value is well-formed with all that it holds, `but` for some of its keys; or is not there."""
        if any(path[:depth] in self._malformed for depth in range(len(path) + 1)):
            return False
        return self._malformed_within.get(path, set()) <= {*but}

    def entries(self, axis: str) -> list[tuple[int, Mapping[str, Any]]]:
        """The entries of a list that are mappings, with their indices."""
        entries = self.config.get(axis)
        return [
            (index, entry)
            for index, entry in enumerate(entries if isinstance(entries, list) else [])
            if isinstance(entry, Mapping)
        ]

    def names(self, axis: str) -> list[str]:
        """The names of entries, allowed or not."""
        return [entry["name"] for _, entry in self.entries(axis) if isinstance(entry.get("name"), str)]

    def knows_all(self, axis: str) -> bool:
        """Whether every entry has a name, so that a name that is not there is a mistake."""
        return bool(names := self.names(axis)) and len(names) == len(self.config[axis])

    def place(self, *path: int | str) -> str:
        """The path as a person writes it."""
        return place(self.config, path)
