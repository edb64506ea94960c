"""What a kind of task says of a user's file: which columns suit it, and what its entry in a study holds."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from shallower.proposals.columns import Column
from shallower.proposals.division import Texts, compared
from shallower.task_kinds.base import shown

# Names that people give to a column of labels.
_LABEL_NAMES = "label labels target class category topic intent sentiment tag tags y gold gold_label golden emotion"
LABEL_NAMES = frozenset(_LABEL_NAMES.split(" "))


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
    """

    kind: str
    columns: tuple[Column, ...]
    reason: str
    is_natural: bool

    @property
    def name(self) -> str:
        """The names of the columns, as LABEL takes them."""
        return ",".join(column.name for column in self.columns)

    @property
    def holds(self) -> str:
        """What the columns hold, in words."""
        return self.columns[0].holds if len(self.columns) == 1 else self.reason


class KindProposal(ABC):
    """What a kind of task says of a file's columns.

    Attributes:
        name: of the kind, as in TASK_KINDS.
    """

    name: ClassVar[str]

    def holds_text(self, column: Column) -> bool:
        """Whether a column looks like one of text for this kind."""
        return column.is_text

    @abstractmethod
    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        """The columns that can be the label, among those that are not text; and those of text."""

    @abstractmethod
    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        """What a task's entry needs beyond text and label, by all labels of the data.

        `label` are the columns that these are in: each value is a list where there are several. `asked` are the names
        of the classes that the user gave. Raises UserError where labels cannot be used.
        """

    def unit(self, num_texts: int) -> str:
        """What is not in two splits, in words, where rows have so many texts."""
        return "text" if num_texts == 1 else "pair of texts"

    def key(self, texts: Sequence[Any]) -> Texts:
        """What rows with the same texts have in common, by which they are put into one split."""
        return compared(texts)

    def text_problem(self, text: Any) -> str | None:
        """Why a text of the data, which is not missing, cannot be used, to follow the column's name."""
        return None if isinstance(text, str) else f"is {shown(text)}, not text"

    def problem(self, value: Any) -> str | None:
        """Why a label, which is not missing, cannot be used, to follow the column's name; None if it can."""
        return None

    @abstractmethod
    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        """For each row what its label is like, of which every split gets its share."""
