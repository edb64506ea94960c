"""Retrieval: documents are found by the vectors of texts, those first whose cosine with the query's vector is highest.

Models are those of sentence embeddings, and learn as these do; what they are scored on is a test collection. The answer
to a query is the list of the grades of the documents that are found, in their order; its label is the list of the
grades of all its relevant documents, the highest first. Which documents these are is in the predictions as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shallower.core.wording import Unit
from shallower.task_kinds.embedding import Embedding

_PAIRS = "it goes by labels of calibration examples, of which this kind has none; use a strategy by position"


class Retrieval(Embedding):
    """Labels are the grades of relevant documents; answers those of documents by rank, 0 for what is not relevant."""

    name = "retrieval"
    row = Unit("query", "queries")
    constant = ""
    label_type = "list<float64>"
    scored_as = ("retrieval",)
    source = "collection"
    unsupported: ClassVar[Mapping[str, str]] = {
        **Embedding.unsupported,
        **dict.fromkeys(("ablation", "subset-loss", "subset-readout", "subset-race", "greedy-score"), _PAIRS),
    }

    def text_problem(self, columns: Sequence[str]) -> str | None:
        return None if not columns else super().text_problem(columns)

    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        """Of similarities to train on alone: queries that cannot be scored are left out where judgements are read."""
        yield from super().split_problems({split: found[split] for split in ("train",) if split in found}, labels)

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits.astype(np.float64)

    @property
    def collapse(self) -> str:
        return "finds no relevant document for any query"

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        """Whether no relevant document is found for any query."""
        return not bool((answers > 0).any())

    def constant_answer(self, labels: NDArray[Any]) -> None:
        """A random order of all documents, which predictions do not know the number of, scores next to nothing."""
