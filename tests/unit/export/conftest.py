"""Tiny classifiers, exported once for all tests of this folder."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tiny
from shallower.engine.tokens import TokenSet
from shallower.export.onnx_export import OnnxExporter
from token_sets import make_tokens

# A lone token, the longest text, and many of equal and of other lengths in one batch.
LENGTHS = (1, 128, 2, 3, 7, 7, 12, 5, 4, 31, 30, 2)


@dataclass(frozen=True)
class Exported:
    folder: Path
    onnx: Path
    tokens: TokenSet
    exporter: OnnxExporter


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """From a family to its tiny classifier, what it was exported to, and tokens of all lengths for it."""

    @cache
    def make(family: str) -> Exported:
        folder = tiny.make_model(
            tmp_path_factory.mktemp(family), family, num_layers=2 if family == "bert" else 1, labels=3
        )
        exporter = OnnxExporter()
        exporter.export(folder, folder / "model.onnx")
        return Exported(folder, folder / "model.onnx", _of_all_lengths(make_tokens(folder, 8, pair=True)[0]), exporter)

    return make


def _of_all_lengths(tokens: TokenSet) -> TokenSet:
    """Random tokens, and types as those of the given set, cut to `LENGTHS`."""
    random, offsets = np.random.default_rng(0), np.concatenate([[0], np.cumsum(LENGTHS)])
    types = tokens.token_type_ids
    return replace(
        tokens,
        input_ids=random.choice(tokens.input_ids, offsets[-1]).astype(np.int32),
        token_type_ids=None if types is None else np.resize(np.sort(types), offsets[-1]).astype(np.int8),
        offsets=offsets.astype(np.int64),
        labels=np.zeros(len(LENGTHS), np.int64),
        ids=np.arange(len(LENGTHS)) + 50,
    )
