"""The architectures whose layers can be dropped: one table, `FAMILIES`, of all that differs between them.

A family that transformers computes is added by its entry in the file of its lineage alone, below
`shallower.models.lineages`. One that the packed encoder is to compute has an entry in
`shallower.models.encoder_families`, too. Configurations are read as plain mappings (config.json); neither torch nor
transformers is needed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.core.model_classes import NO_HEAD, TOKEN_CLASSIFICATION
from shallower.core.wording import unsuited
from shallower.models.family import Family
from shallower.models.lineages import albert, bert, deberta, decoders, modernbert, mpnet, nomic, xlnet

LINEAGES = (bert, xlnet, albert, mpnet, deberta, decoders, modernbert, nomic)
FAMILIES: dict[str, Family] = {family.name: family for lineage in LINEAGES for family in lineage.FAMILIES}
# Architectures that people ask for and that cannot be supported: why, and what to choose.
REFUSED = {
    "gemma3": "it reads pictures, too; its models that read text alone are of the architecture gemma3_text, such as "
    "those of 270 million and of one billion parameters",
    "roformer": "tokenizers of its published models divide Chinese by a program of their own (jieba), which the "
    "tokenizer.json of a delivered model cannot say, so that it would read other tokens; choose a Chinese model of the "
    "architecture bert",
}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a model, by its configuration (the content of config.json).

    Raises UserError when the model brings its own code (`auto_map`), which is never run, unless it is known that
    transformers computes the same, and when its architecture is not supported.
    """
    supported = ", ".join(FAMILIES)
    model_type = config.get("model_type")
    known = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if config.get("auto_map") and not (known and known.replaces_code(config)):
        raise UserError(
            "config.json asks for the model's own code (auto_map), which is never run; "
            f"choose a model that transformers itself knows, of one of these architectures: {supported}"
        )
    if not isinstance(model_type, str):
        raise UserError(f"config.json lacks 'model_type', the architecture; supported ones: {supported}")
    if model_type in REFUSED:
        raise UserError(f"the architecture {model_type!r} is not supported: {REFUSED[model_type]}")
    if known is None:
        raise UserError(f"the architecture {model_type!r} is not supported; supported ones: {supported}")
    return known


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Most tokens that a model can take, by its configuration (config.json); None when there is no limit."""
    family = FAMILIES.get(config.get("model_type", ""))
    common = config.get("max_position_embeddings")
    positions = config.get(family.positions_key, common) if family else common
    if positions is None or positions < 1:  # XLNet says -1
        return None
    return positions - family.first_position(config) if family else positions


# The kinds of task that models of a class answer, and the family's reason against it, for classes that not all have.
NOT_FOR_ALL: dict[str, tuple[str, Callable[[Family], str]]] = {
    TOKEN_CLASSIFICATION: ("tokens", lambda family: family.no_token_head),
    NO_HEAD: ("embedding and retrieval", lambda family: family.no_vectors),
}


def check_model_class(family: Family, model_class: str) -> None:
    """Raise UserError where models of a family cannot be of one of `shallower.core.model_classes`."""
    kinds, reason_of = NOT_FOR_ALL.get(model_class, ("", lambda family: ""))
    if reason := reason_of(family):
        others = ", ".join(other.name for other in FAMILIES.values() if not reason_of(other))
        remedy = f"choose a model of one of these families: {others}"
        raise UserError(unsuited(f"the family {family.name}", kinds, f"{reason}; {remedy}"))


def check_onnx_export(family: Family) -> None:
    """Raise UserError where models of a family cannot be exported to ONNX."""
    if family.no_onnx:
        others = ", ".join(other.name for other in FAMILIES.values() if not other.no_onnx)
        raise UserError(
            f"models of the family {family.name} cannot be exported to ONNX: {family.no_onnx}; leave out the ONNX "
            f"runtimes (deliver.runtimes: [torch]), or choose a model of one of these families: {others}"
        )
