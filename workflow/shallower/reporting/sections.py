"""What another package adds to a study's report: a section, handed over as a JSON file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from markupsafe import Markup

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json


@dataclass(frozen=True)
class Section:
    """Texts, and where they are placed in the report.

    Attributes:
        lead: a paragraph below the answer, or "".
        contents: titles by the ids in `body` that the table of contents links to.
        body: follows the study's own figures.
        methods: further steps of the methods, as plain text.
        terms: further entries of the statistics, likewise.
    """

    lead: Markup
    contents: Mapping[str, str]
    body: Markup
    methods: Sequence[str] = ()
    terms: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the section to a file."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a section. Raises UserError, naming the file, when it is missing or damaged."""
        record = read_json(path)
        try:
            return cls(
                lead=Markup(record["lead"]),
                contents=dict(record["contents"]),
                body=Markup(record["body"]),
                methods=list(record["methods"]),
                terms=dict(record["terms"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not a section of a report ({error!r}); delete it and run again") from None
