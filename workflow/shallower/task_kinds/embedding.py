"""Sentence embedding: each text gets a vector, and pairs of texts have a number that says how similar they are."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shallower.core.model_classes import NO_HEAD
from shallower.core.wording import Unit
from shallower.task_kinds.regression import Regression

if TYPE_CHECKING:
    import torch

# Cosines of single-precision vectors that are the same differ by less than this.
ROUNDING = 1e-5
_OTHERS = "use a strategy by position, block-influence or subset-loss"
_CLS = f"it goes by the [CLS] token's vector, which need not be in the answer; {_OTHERS}"
_LABELS = f"it goes by the answers of a head; {_OTHERS}"


class Embedding(Regression):
    """Labels are similarities of pairs, finite numbers; the answer to a pair is the cosine of its texts' vectors.

    The model has no head: what it computes of a text, its logits to everything else, is the vector. Rows of a batch
    that has labels are the texts of pairs, two by two, each with the label of its pair.
    """

    name = "embedding"
    row = Unit("pair", "pairs")
    model_class = NO_HEAD
    has_named_outputs = False
    needs_training = False
    takes = frozenset({"similarity_range", "unlabelled_text", "unlabelled_unit"})
    unsupported: ClassVar[Mapping[str, str]] = {
        "reproduction": "the paper has classifiers only; leave the key out",
        "oracle": "subsets of layers are judged by the answers of a head; leave the key out",
        "augment": "texts are made from training texts of one row each; name an unlabelled_file instead",
        "gradual": "its models learn labels between drops; use the origin finetuned",
        "finetuned-frozen": "its models learn labels before the drop; use the origin finetuned",
        "contribution": _CLS,
        "angular-distance": _CLS,
        "taylor": _LABELS,
        "subset-readout": "its vectors need no readout; use subset-loss",
        "race": "it is refined by labels; use subset-loss",
    }

    def text_problem(self, columns: Sequence[str]) -> str | None:
        if len(columns) == 2:
            return None
        return "the label of an embedding is the similarity of two texts; name two columns of text"

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        """Whether all cosines are the same but for rounding: their order counts, not how far they spread."""
        return bool(np.ptp(answers) <= ROUNDING)

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Squared difference of cosine and label, as CosineSimilarityLoss of sentence-transformers has it."""
        from torch.nn import functional

        return functional.mse_loss(functional.cosine_similarity(logits[::2], logits[1::2], dim=-1), labels[::2])

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Squared distance of the vectors, which have no temperature: their size times the mean squared error."""
        return (logits - teacher).square().sum(dim=-1).mean()
