"""Tokens: each word of a text has a tag, such as the entity that it is part of, or its part of speech."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

from shallower.core.model_classes import TOKEN_CLASSIFICATION
from shallower.core.wording import Unit
from shallower.task_kinds.base import LACKING, LabelColumn, LabelReading, shown
from shallower.task_kinds.class_labels import class_reading
from shallower.task_kinds.classification import Classification
from shallower.task_kinds.tag_schemes import scheme_of

# Tags that a message names.
MAX_NAMED = 5


class Tokens(Classification):
    """Labels are lists of indices into the tags, one a word; logits have one output a tag, in a row for each word."""

    name = "tokens"
    has_classes = True
    takes = frozenset({"labels", "long_texts", "strict_entities"})
    answers_words = True
    label_type = "list<int64>"
    scored_as = ("tokens",)
    model_class = TOKEN_CLASSIFICATION
    row = Unit("word", "words")
    group = Unit("sentence", "sentences")
    unsupported: ClassVar[Mapping[str, str]] = {
        "reproduction": "its probes read the vector of a whole text; leave the key out",
        "augment": "a changed word may need another tag; remove the key",
        "unlabelled_file": "it has texts, which are not divided into words; remove the key",
    }

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        """Whether all tags of all files are names or ids, decided once."""
        flat = {id(column): _flat(column) for column in columns}
        reading = class_reading(list(flat.values()), labels or ())

        def of(column: LabelColumn) -> Callable[[Any], list[int]]:
            read = reading.of(flat[id(column)])

            def read_all(values: Any) -> list[int]:
                found = []
                for place, value in enumerate(values if isinstance(values, list) else [], start=1):
                    try:
                        found.append(int(read(value)))
                    except ValueError as error:
                        raise WordError(place - 1, f"of word {place}: {error}") from None
                if not isinstance(values, list):
                    raise ValueError(f"is {shown(values)}, not a list of tags; give one tag for each word")
                return found

            return read_all

        return LabelReading(reading.form, of)

    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        names = list(labels or ())
        present = {split: {*chain.from_iterable(sentences)} for split, sentences in found.items()}
        for split, tags in present.items():
            if len(tags) == 1:
                yield (
                    f"all words of the {split} split have the tag {names[min(tags)]!r}; nothing can be learnt or "
                    "scored from one"
                )
        for split in ("validation", "test"):
            if len(found.get(split, ())) == 1:
                yield (
                    f"the {split} split has one sentence, and at least 2 are needed to score with; add sentences (in a "
                    "CoNLL file, a blank line ends one)"
                )
            if unseen := sorted(present.get(split, set()) - present["train"]):
                lacking = ", ".join(repr(names[index]) for index in unseen[:MAX_NAMED])
                yield (
                    f"the {split} split has the tag {lacking}, {LACKING}; correct the tags, or add "
                    "or remove such sentences"
                )
        try:
            scheme_of(names)
        except ValueError as error:
            yield f"labels: {error}"

    def notes(self, labels: Sequence[str], sentences: Sequence[Sequence[int]]) -> dict[str, Any]:
        """What task.json has of this kind: the scheme that all tags are in, by the training sentences."""
        return {"scheme": scheme_of(labels, sentences)}


class WordError(ValueError):
    """What is wrong with the tag of one word, counted from 0."""

    def __init__(self, word: int, message: str) -> None:
        super().__init__(message)
        self.word = word


def _flat(column: LabelColumn) -> LabelColumn:
    """A column of lists of tags as one of tags, each with the row that it is of."""
    lists = [values if isinstance(values, list) else [] for values in column.values]
    rows = [row for row, values in enumerate(lists, start=1) for _ in values]
    return LabelColumn(column.place, list(chain.from_iterable(lists)), column.stored_names, rows=rows)
