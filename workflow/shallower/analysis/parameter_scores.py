"""How large, or how varied, each layer's weights are: the parameter-based scores (paper section 3.3).

The paper scores a layer by its "final weights" only and does not say which those are, so that is a setting. They
are taken from the checkpoint's file; no model is built.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import deserialize

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.models.families import family_of
from shallower.models.family import Family
from shallower.models.weight_files import header, weight_files

# All layers have equally many weights, so that a sum of magnitudes would rank them as their mean does.
METHODS: dict[str, Callable[[np.ndarray], np.floating]] = {
    "parameter-aggregation": lambda weights: np.abs(weights).mean(),
    "parameter-variance": np.var,
    "magnitude": lambda weights: np.abs(weights).mean(),
}
# What the "final weights" of a layer may be; True for those of its tensors, named as within the layer, that count.
READINGS: dict[str, Callable[[str, str | None], bool]] = {
    "output-matrix": lambda tensor, matrix: tensor == f"{matrix}.weight",
    "output-matrix-and-bias": lambda tensor, matrix: tensor in (f"{matrix}.weight", f"{matrix}.bias"),
    "layer": lambda tensor, matrix: True,
}
_NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def parameter_scores(model_dir: str | Path, method: str, reading: str = "output-matrix") -> list[float]:
    """Mean magnitude or variance of each layer's weights, in fp64; one score a layer, 0-based from the bottom.

    `method` is one of `METHODS`; `reading`, one of `READINGS`, says which weights: the output matrix (the second
    of the feed-forward part), that and its bias, or all of the layer, pooled. Fine-tuned and pre-trained
    checkpoints will do, in one file or in shards, of fp64, fp32, fp16 or bf16.

    Raises UserError when all layers share one set of weights, when the weights are not whole or not of the number
    of layers that config.json states, and when a layer has none of that kind or some that are not finite.
    """
    files = weight_files(model_dir)
    try:
        family, num_layers = _checked(read_json(Path(model_dir) / "config.json"), files)
        weights: list[list[np.ndarray]] = [[] for _ in range(num_layers)]
        for layer, values in _layer_weights(files, family, reading):
            weights[layer].append(values)
        if not all(weights):
            raise UserError(f"no layer has the tensor {family.output_matrix}.weight; download it again")
        scores = [float(METHODS[method](np.concatenate(parts))) for parts in weights]
        if bad := [layer for layer, score in enumerate(scores) if not np.isfinite(score)]:
            raise UserError(f"the weights of layers {bad} are not finite; get the model again")
    except UserError as error:
        raise UserError(f"{model_dir}: {error}") from error
    return scores


def _checked(config: dict[str, Any], files: list[Path]) -> tuple[Family, int]:
    """The family and the number of layers of a checkpoint whose layers have weights of their own."""
    family = family_of(config)
    num_layers = family.num_layers(config)
    if family.shares_layers:
        raise UserError(
            f"all layers of {family.name} are one set of weights, so parameter scores cannot distinguish them; "
            "leave the parameter strategies out for this model"
        )
    family.check_layers(num_layers, [name for file in files for name in header(file)])
    return family, num_layers


def _layer_weights(files: list[Path], family: Family, reading: str) -> Iterator[tuple[int, np.ndarray]]:
    """Layer and values (fp64, flat) of each tensor that a reading counts."""
    for file in files:
        # Sorted, as they come in a random order and a sum's last digits depend on it.
        for name, tensor in sorted(deserialize(file.read_bytes())):
            layer, part = family.layer_of(name), family.within_layer(name)
            if layer is not None and part is not None and READINGS[reading](part, family.output_matrix):
                yield layer, _numbers(name, tensor["dtype"], tensor["data"])


def _numbers(name: str, kind: str, data: bytes) -> np.ndarray:
    """A tensor's bytes as fp64."""
    if kind == "BF16":
        # The upper half of an fp32 number; numpy has no such type.
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    if kind not in _NUMBERS:
        raise UserError(f"{name} is of type {kind}; weights must be of fp64, fp32, fp16 or bf16")
    return np.frombuffer(data, _NUMBERS[kind]).astype(np.float64)
