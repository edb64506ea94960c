"""How large a model is by its config.json: parameters, bytes, operations.

No weights are read, and torch is not needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shallower.core.errors import UserError
from shallower.models.families import family_of
from shallower.models.family import Family
from shallower.models.stack import Stack

# A model whose config.json is not here yet: of base size, with the vocabulary of the paper's model it stands for.
BASE_CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
}
COUNTERPART_CONFIGS: dict[str, dict[str, Any]] = {
    "BERT": {},
    "RoBERTa": {"vocab_size": 50_265},
    "XLNet": {"vocab_size": 32_000},
    "ALBERT": {"vocab_size": 30_000, "embedding_size": 128, "model_type": "albert"},
    "DistilBERT": {"num_hidden_layers": 6},
    "DistilRoBERTa": {"vocab_size": 50_265, "num_hidden_layers": 6},
}

# Bytes of a parameter, by the name of its type.
PARAMETER_BYTES = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True)
class ModelSize:
    """What a model's cost depends on; parameters of one layer and of all that is not a layer."""

    stack: Stack
    hidden_size: int
    num_heads: int
    vocabulary: int
    layer_parameters: int
    other_parameters: int
    shares_layers: bool
    gate_size: int = 0  # of the feed-forward network's gate; 0 where it has none
    relative_positions: int = 0  # with which attention compares each token, besides the others of its text

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ModelSize":
        """The size of the model of a config.json, within some per cent: biases and norms are left out.

        Raises UserError for an architecture that is not supported, and for a size that is missing or no whole number.
        """
        family = family_of(config)
        # transformers reads the common names too, whatever a family's own ones are.
        hidden = _first(config, family.hidden_key, "hidden_size")
        inner = _inner_size(config, family, hidden)
        heads = _first(config, family.heads_key, "num_attention_heads")
        head = _stated(config, "head_dim") or family.head_size or hidden / heads
        groups = _stated(config, "num_key_value_heads") or heads
        matrices, compared = family.relative_positions(config) if family.relative_positions else (0, 0)
        # Two matrices make keys and values, which several heads may share.
        attention = round(((family.attention_matrices + matrices - 2) * heads + 2 * groups) * head * hidden)
        embedding = _whole("embedding_size", family.embedding_size(config))
        vocabulary = _first(config, "vocab_size")
        # XLNet has no embeddings of positions, and may say so by a negative number.
        positions = config.get(family.positions_key, config.get("max_position_embeddings", 0))
        if type(positions) is not int:
            raise UserError(f"config.json: {family.positions_key} is {positions!r}; it must be a whole number")
        rows = vocabulary + (max(0, positions) if family.learns_positions else 0)
        factors = embedding * hidden if embedding != hidden else 0
        return cls(
            stack=family.stack(config),
            hidden_size=hidden,
            num_heads=heads,
            vocabulary=vocabulary,
            layer_parameters=attention + family.inner_matrices * hidden * inner,
            other_parameters=rows * embedding + factors + (hidden**2 if family.has_dense_head else 0),
            shares_layers=family.shares_layers,
            gate_size=inner if family.inner_matrices == 3 else 0,
            relative_positions=compared,
        )

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return self.stack.num_layers

    def bytes(self, depth: int, precision: str = "fp32") -> int:
        """Size of the file of weights of the model with so many layers; precision "fp32" or "bf16"."""
        layers = 1 if self.shares_layers else depth
        return PARAMETER_BYTES[precision] * (self.other_parameters + layers * self.layer_parameters)

    def operations(self, depth: int, tokens: float) -> float:
        """Operations of one forward pass of an example of so many tokens."""
        compared = 2 * tokens + self.relative_positions
        return 2 * tokens * depth * (self.layer_parameters + compared * self.hidden_size)


def assumed_config(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json that a model is taken to have until it is here. `entry` is the model's in a study."""
    depth = {"num_hidden_layers": entry["num_layers"]} if "num_layers" in entry else {}
    return BASE_CONFIG | COUNTERPART_CONFIGS.get(entry.get("counterpart", ""), {}) | depth


def _inner_size(config: Mapping[str, Any], family: Family, hidden: int) -> int:
    """Size of the feed-forward network's inner layer."""
    stated = {key: config[key] for key in (family.inner_key, "intermediate_size") if config.get(key) is not None}
    if not stated and family.inner_factor is not None:
        return family.inner_factor * hidden
    return _first(stated or config, family.inner_key, "intermediate_size")


def _stated(config: Mapping[str, Any], key: str) -> int | None:
    """A size that a config.json may leave out. Raises UserError when it is no size."""
    return None if config.get(key) is None else _first(config, key)


def _first(config: Mapping[str, Any], *keys: str) -> int:
    """The size under the first key that a config.json has. Raises UserError when there is none, or it is no size."""
    key = next((key for key in keys if key in config), None)
    if key is None:
        raise UserError(f"config.json lacks {keys[0]!r}; get the model again")
    return _whole(key, config[key])


def _whole(key: str, value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise UserError(f"config.json: {key!r} is {value!r}; it must be a whole number of at least 1")
    return value
