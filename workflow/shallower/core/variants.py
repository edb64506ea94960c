"""Variants: the forms in which a fine-tuned model can be delivered."""

from collections.abc import Collection
from itertools import product
from typing import NamedTuple

TORCH, ONNX, INT8 = RUNTIMES = ("torch", "onnx", "onnx-int8")
# What the name of a second file of an ONNX model, which holds the weights of a large one, ends with.
ONNX_DATA = ".data"
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


def measured_runtimes(asked: Collection[str]) -> list[str]:
    """The runtimes that are tried where a study asks for some, in one order, so that another one reruns nothing.

    torch always is: exports are compared with it, and every delivered folder has the weights that it reads.
    """
    return [runtime for runtime in RUNTIMES if runtime == TORCH or runtime in asked]


def record_of_making(variant: Variant) -> str:
    """Name of the record, without .json, of the step that makes models in a variant other than as they were trained."""
    names = {TORCH: "trimmed", ONNX: f"exported-{variant.vocabulary}", INT8: f"quantised-{variant.vocabulary}"}
    return names[variant.runtime]


def made_runtimes(asked: Collection[str]) -> list[str]:
    """The runtimes that models are made for where a study asks for some: int8 is made from ONNX."""
    return [name for name in RUNTIMES if name in measured_runtimes(asked) or (name == ONNX and INT8 in asked)]


def records_of_making(runtimes: Collection[str], vocabularies: Collection[str]) -> list[str]:
    """Names of the records of the steps that make models in these variants, and of those that they need."""
    made = [Variant(*pair) for pair in product(made_runtimes(runtimes), vocabularies)]
    return [record_of_making(variant) for variant in made if variant != AS_TRAINED]
