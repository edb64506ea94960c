"""Variants: the forms in which a fine-tuned model can be delivered."""

from typing import NamedTuple

TORCH, ONNX, INT8 = RUNTIMES = ("torch", "onnx", "onnx-int8")
FULL, TRIMMED = VOCABULARIES = ("full", "trimmed")
# As readers are shown them.
RUNTIME_TITLES = {TORCH: "torch", ONNX: "ONNX", INT8: "ONNX int8"}
VOCABULARY_TITLES = {FULL: "full vocabulary", TRIMMED: "trimmed vocabulary"}


class Variant(NamedTuple):
    """What runs a model, and which tokens it knows; by default what training leaves."""

    runtime: str = TORCH
    vocabulary: str = FULL

    @property
    def title(self) -> str:
        """In words, such as `ONNX int8, trimmed vocabulary`."""
        runtime = RUNTIME_TITLES.get(self.runtime, self.runtime)
        return f"{runtime}, {VOCABULARY_TITLES.get(self.vocabulary, self.vocabulary)}"


AS_TRAINED = Variant()
