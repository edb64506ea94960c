"""Sentence embedding: each text gets a vector, and pairs of texts have a number that says how similar they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shallower.core.model_classes import NO_HEAD
from shallower.task_kinds.regression import Regression

if TYPE_CHECKING:
    import torch


class Embedding(Regression):
    """Labels are similarities of pairs, finite numbers; the answer to a pair is the cosine of its texts' vectors.

    The model has no head: what it computes of a text, its logits to everything else, is the vector. Rows of a batch
    that has labels are the texts of pairs, two by two, each with the label of its pair.
    """

    name = "embedding"
    model_class = NO_HEAD
    needs_training = False

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Squared difference of cosine and label, as CosineSimilarityLoss of sentence-transformers has it."""
        from torch.nn import functional

        return functional.mse_loss(functional.cosine_similarity(logits[::2], logits[1::2], dim=-1), labels[::2])

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Squared distance of the vectors, which have no temperature: their size times the mean squared error."""
        return (logits - teacher).square().sum(dim=-1).mean()
