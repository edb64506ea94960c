"""What a kind of task says of a user's file: which columns suit it, and what its entry in a study holds."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from shallower.proposals.columns import Column
from shallower.proposals.division import Texts, compared
from shallower.sources.labelled_files import text_problem
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.registry import TASK_KINDS

# What changes a decision that has no option of its own.
OTHER_ORDER = "another order in the study"


@dataclass(frozen=True)
class Decision:
    """A key of a task's entry in a study, and what was decided.

    Attributes:
        key: in the study.
        value: its value there.
        reason: why, in words that follow a colon.
        other: how to get something else: an option of `make study`, or an edit of the study.
    """

    key: str
    value: Any
    reason: str
    other: str = ""


@dataclass(frozen=True)
class Candidate:
    """A column that can be the label of a kind of task, or several that are one together.

    Attributes:
        kind: the name of the kind.
        columns: the columns.
        reason: what of them suits the kind.
        is_natural: whether they suit the kind so well that nobody needs to ask for it.
        outdoes: kinds that need not be thought of then.
    """

    kind: str
    columns: tuple[Column, ...]
    reason: str
    is_natural: bool = True
    outdoes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The names of the columns, as LABEL takes them."""
        return ",".join(column.name for column in self.columns)


class KindProposal(ABC):
    """What a kind of task says of a file's columns.

    Attributes:
        name: of the kind, as in TASK_KINDS.
        why_text: why a column is that of text, with its content in braces, and what names others.
        long_texts: what becomes of those that are too long.
        needs: of the model, to follow the option that asks for the kind.
    """

    name: ClassVar[str]
    why_text: ClassVar[tuple[str, str]] = ("the only column of {}", "TEXT= with one column, or two for pairs")
    long_texts: ClassVar[str] = "cut"
    needs: ClassVar[str] = ""

    @property
    def kind(self) -> TaskKind:
        """The kind itself."""
        return TASK_KINDS[self.name]

    def texts(self, columns: Sequence[Column]) -> list[Column]:
        """The columns that look like those of text for this kind."""
        return [column for column in columns if column.is_text]

    @abstractmethod
    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        """The columns that can be the label, among those that are not text; and those of text."""

    @abstractmethod
    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        """What a task's entry needs beyond text and label, by all labels of the data.

        `label` are the columns that these are in: each value is a list where there are several. `asked` are the names
        of the classes that the user gave. Raises UserError where labels cannot be used.
        """

    def unit(self, num_texts: int) -> tuple[str, str]:
        """What is not in two splits, and several of it, in words, where rows have so many texts."""
        return ("text", "texts") if num_texts == 1 else ("pair of texts", "pairs of texts")

    def key(self, texts: Sequence[Any]) -> Texts:
        """What rows with the same texts have in common, by which they are put into one split."""
        return compared(texts)

    def read(self, value: Any) -> Any:
        """A label. Raises ValueError with what is wrong, to follow the column's name."""
        return value

    def problems(self, row: Sequence[tuple[str, Any]], label: str, value: Any) -> Iterator[tuple[int | None, str]]:
        """What is wrong with a row without missing values: its texts by their columns, the label's columns, the label.

        Each with the number of the word that it is about, from 0, where that is known.
        """
        for name, text in row:
            if problem := text_problem(text):
                yield None, f"{name} {problem}"
        try:
            self.read(value)
        except ValueError as error:
            yield None, f"{label} {error}"

    def num_scored(self, texts: Sequence[Sequence[Any]], values: Sequence[Any]) -> int:
        """On how many of these rows models can be scored."""
        return len(values)

    @abstractmethod
    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        """For each row what its label is like, of which every split gets its share."""
