"""What weights must be, as far as the headers of their files tell: plain numbers, of the model alone."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import family_of
from shallower.models.family import Family
from shallower.models.size import ModelSize
from shallower.models.weight_files import BUFFERS

# Types of numbers that weights can be trained from, by their names in safetensors files.
WEIGHT_DTYPES = ("F64", "F32", "F16", "BF16")

_UNMERGED = "merge them with PEFT's merge_and_unload, save the model with save_pretrained and use source local"
_QUANTIZED = "choose the model that it was quantized from"
# Tensors of what other tools add to a model, by a part of their names: what they are, and the remedy.
FOREIGN_TENSORS = (
    (r"\.lora_|\.ia3_|\.base_layer\.|^base_model\.model\.", "adapters of PEFT (LoRA) that are not merged", _UNMERGED),
    (r"adapter", "adapters, which are no part of the model's layers", "choose the model without adapters"),
    (
        r"\.(SCB|weight_format|qweight|qzeros|scales|g_idx|absmax|quant_map|nested_absmax)$|\.quant_state\.|_scale(_inv)?$",
        "what belongs to quantized weights",
        _QUANTIZED,
    ),
    (
        r"\.(weight|bias)_(orig|mask)$",
        "weights that torch's prune masks",
        "end the pruning with torch.nn.utils.prune.remove and save the model again",
    ),
    (
        r"\.parametrizations\.|\.weight_[gv]$",
        "weights in a parametrization of torch",
        "remove it (torch.nn.utils.parametrize.remove_parametrizations) and save the model again",
    ),
    (
        r"\.distance_embedding\.",
        "embeddings of relative positions, which transformers no longer computes",
        "choose a model with absolute positions",
    ),
    (r"\.crossattention\.", "cross-attention of a decoder", "choose a model without a decoder"),
)
# Settings of a config.json that say the same, with the remedy.
FOREIGN_SETTINGS = {
    "quantization_config": f"its weights are quantized, and only plain ones can be trained; {_QUANTIZED}",
    "compression_config": f"its weights are compressed, and only plain ones can be trained; {_QUANTIZED}",
    "chunk_size_feed_forward": "transformers computes only inputs of a multiple of that many tokens then; set it to 0",
    "pruned_heads": "attention heads are pruned, so that its layers are not whole; choose the model before that",
}


def check_settings(config: Mapping[str, Any]) -> None:
    """Raise UserError for a config.json of weights that are not plain, or that transformers cannot compute."""
    family = family_of(config)
    for key, problem in (FOREIGN_SETTINGS | dict(family.refused_settings)).items():
        if config.get(key):
            raise UserError(f"config.json has {key!r}: {problem}")
    if family.unfit is not None and (unfit := family.unfit(config)):
        raise UserError(f"config.json: {unfit}")
    kind = config.get("position_embedding_type") or "absolute"
    if kind != "absolute" and family.learns_positions:  # others do without, whatever the key says
        raise UserError(
            f"config.json: 'position_embedding_type' is {kind!r}; transformers no longer computes relative positions; "
            "choose a model with absolute ones"
        )


def check_tensors(config: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """The weights must hold the layers and words that the configuration states, as plain numbers, and nothing foreign.

    `tensors` is what `shallower.models.weight_files.header` gives. Raises UserError.
    """
    family = family_of(config)
    _check_foreign(tensors)
    expected = expected_tensors(config)
    if expected:
        _check_surplus(family, [key for variants, _ in expected.values() for key in variants], tensors)
    family.check_layers(family.num_layers(config), tensors)
    missing = [name for name, (variants, _) in expected.items() if not any(key in tensors for key in variants)]
    if missing:
        raise UserError(
            f"the weights lack {len(missing)} tensors of the model that config.json describes, such as {missing[0]!r}; "
            "download it again"
        )
    _check_embeddings(family, config, tensors)
    if expected:
        for name, (variants, shape) in expected.items():
            _check_shape(name, next(tensors[key] for key in variants if key in tensors)["shape"], shape)
    else:
        _check_alike(family, tensors)


def _check_foreign(tensors: Mapping[str, Mapping[str, Any]]) -> None:
    for pattern, meaning, remedy in FOREIGN_TENSORS:
        if found := [name for name in tensors if re.search(pattern, name)]:
            raise UserError(f"the weights hold {meaning} ({len(found)} tensors such as {found[0]!r}); {remedy}")
    for name, entry in tensors.items():
        if entry["dtype"] not in WEIGHT_DTYPES and not name.endswith(BUFFERS):
            raise UserError(
                f"{name!r} is stored as {entry['dtype']}; weights can be trained from {', '.join(WEIGHT_DTYPES)} only, "
                f"others are quantized: {_QUANTIZED}"
            )


def _check_embeddings(family: Family, config: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]) -> None:
    embeddings = [entry["shape"] for name, entry in tensors.items() if name.endswith(family.word_embeddings)]
    if not embeddings:
        raise UserError(
            f"the weights hold no {family.word_embeddings}, as every {family.name} model does; download it again"
        )
    size = ModelSize.of(config)
    stated = [size.vocabulary, family.embedding_size(config)]
    if embeddings[0] != stated:
        raise UserError(
            f"{family.word_embeddings} has the shape {embeddings[0]}, but config.json states {stated} (words, "
            "dimensions); the weights and the configuration do not belong together"
        )


def _check_shape(name: str, found: list[int], expected: list[int]) -> None:
    if found == expected:
        return
    if re.search(r"query|key|value|[qkv]_lin", name) and found[0] < expected[0]:
        raise UserError(
            f"{name!r} has {found[0]} rows of {expected[0]}: attention heads are pruned, so that the layers are not "
            "whole; choose the model before that"
        )
    raise UserError(
        f"{name!r} has the shape {found}, but config.json means {expected}; the weights and the configuration do not "
        "belong together"
    )


def _check_surplus(family: Family, known: Collection[str], tensors: Collection[str]) -> None:
    """Layers must not have more than the model computes; how many layers there are does not matter here."""
    parts = {family.within_any_layer(name) for name in known}
    surplus = [name for name in tensors if family.within_any_layer(name) not in {*parts, None}]
    if surplus := [name for name in surplus if not name.endswith(BUFFERS)]:
        raise UserError(
            f"the weights hold {len(surplus)} tensors in layers that no {family.name} model has, such as "
            f"{surplus[0]!r}, so that it computes something else; choose a model that transformers itself saved"
        )


def _check_alike(family: Family, tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """Where shapes are not known: those of all layers must be the same."""
    shapes: dict[str, tuple[str, list[int]]] = {}
    for name, entry in tensors.items():
        if (part := family.within_layer(name)) is not None:
            other, shape = shapes.setdefault(part, (name, entry["shape"]))
            if shape != entry["shape"]:
                raise UserError(
                    f"{name!r} has the shape {entry['shape']}, {other!r} has {shape}; layers of different sizes, such "
                    "as with pruned heads, are not supported: choose the model before that"
                )
