"""Models of BERT's kind: what each family calls its settings and tensors, and which of them the encoder computes.

Reads configurations as plain mappings (config.json) and needs no torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shallower.core.errors import UserError
from shallower.core.model_classes import NO_HEAD, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION
from shallower.models.families import FAMILIES
from shallower.models.family import Family

# Activations that the encoder knows, by their names in config.json.
ACTIVATIONS = ("gelu", "gelu_new", "relu")

# What norms were called once; transformers still reads these names.
LEGACY_NAMES = {"weight": "gamma", "bias": "beta"}


@dataclass(frozen=True)
class EncoderConfig:
    """What the computation depends on, whatever a family calls it in its config.json."""

    num_layers: int
    hidden_size: int
    embedding_size: int  # of words, positions and token types; where it is another one, a matrix follows
    num_heads: int
    intermediate_size: int
    vocab_size: int
    num_positions: int
    padding_id: int | None  # positions are counted without this token, from behind its id; None: of all, from 0
    num_token_types: int  # 0 for a family that has none
    activation: str
    norm_epsilon: float
    hidden_dropout: float  # after the embeddings and the feed-forward networks
    attention_dropout: float  # on the attention's weights
    attention_output_dropout: float
    head_dropout: float
    token_head_dropout: float  # of the head that answers each token
    drops_head_input: bool  # before the head's dense layer, too
    head_activation: str
    initializer_range: float


def encoder_config(config: Mapping[str, Any]) -> EncoderConfig | None:
    """The encoder's settings for a model's config.json; None for a model that the encoder does not compute.

    Raises UserError when a size is missing or no whole number.
    """
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder"):
        return None
    family = ENCODERS.get(config.get("model_type", ""))
    if family is None:
        return None
    settings = family.settings(config)
    return settings if settings.activation in ACTIVATIONS else None


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise UserError(f"config.json: {key!r} is {value!r}; it must be a whole number of at least 1")
    return value


def _bert_settings(config: Mapping[str, Any]) -> EncoderConfig:
    hidden_dropout = config.get("hidden_dropout_prob", 0.1)
    classifier_dropout = config.get("classifier_dropout")
    return EncoderConfig(
        num_layers=_size(config, "num_hidden_layers"),
        hidden_size=_size(config, "hidden_size"),
        embedding_size=_size(config, "hidden_size"),
        num_heads=_size(config, "num_attention_heads"),
        intermediate_size=_size(config, "intermediate_size"),
        vocab_size=_size(config, "vocab_size"),
        num_positions=_size(config, "max_position_embeddings"),
        padding_id=None,
        num_token_types=FAMILIES[config["model_type"]].num_token_types(config) or 0,
        activation=config.get("hidden_act", "gelu"),
        norm_epsilon=config.get("layer_norm_eps", 1e-12),
        hidden_dropout=hidden_dropout,
        attention_dropout=config.get("attention_probs_dropout_prob", 0.1),
        attention_output_dropout=hidden_dropout,
        head_dropout=hidden_dropout if classifier_dropout is None else classifier_dropout,
        token_head_dropout=hidden_dropout if classifier_dropout is None else classifier_dropout,
        drops_head_input=False,
        head_activation="tanh",
        initializer_range=config.get("initializer_range", 0.02),
    )


def _roberta_settings(config: Mapping[str, Any]) -> EncoderConfig:
    padding_id = FAMILIES[config["model_type"]].padding_id(config)
    return replace(_bert_settings(config), padding_id=padding_id, drops_head_input=True)


def _electra_settings(config: Mapping[str, Any]) -> EncoderConfig:
    embedding_size = FAMILIES["electra"].embedding_size(config)
    _size({"embedding_size": embedding_size}, "embedding_size")
    return replace(_bert_settings(config), embedding_size=embedding_size, drops_head_input=True, head_activation="gelu")


def _distilbert_settings(config: Mapping[str, Any]) -> EncoderConfig:
    return EncoderConfig(
        num_layers=_size(config, "n_layers"),
        hidden_size=_size(config, "dim"),
        embedding_size=_size(config, "dim"),
        num_heads=_size(config, "n_heads"),
        intermediate_size=_size(config, "hidden_dim"),
        vocab_size=_size(config, "vocab_size"),
        num_positions=_size(config, "max_position_embeddings"),
        padding_id=None,
        num_token_types=0,
        activation=config.get("activation", "gelu"),
        norm_epsilon=1e-12,
        hidden_dropout=config.get("dropout", 0.1),
        attention_dropout=config.get("attention_dropout", 0.1),
        attention_output_dropout=0.0,
        head_dropout=config.get("seq_classif_dropout", 0.2),
        token_head_dropout=config.get("dropout", 0.1),
        drops_head_input=False,
        head_activation="relu",
        initializer_range=config.get("initializer_range", 0.02),
    )


@dataclass(frozen=True)
class EncoderHead:
    """A head that the encoder computes: transformers' name of the model that has it, and the head's own modules.

    With `head_dense` it answers the [CLS] token, without it each token by one linear layer.
    """

    architecture: str
    modules: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class EncoderFamily:
    """How to read a family's config.json, and its names of modules in a checkpoint, by the encoder's own names.

    A module with several names is their tensors one after another. `{}` stands for a layer's index. Names of the base
    model, `base`, are without its prefix, which some checkpoints leave out; those of the heads, by
    `shallower.core.model_classes`, are whole.
    """

    settings: Callable[[Mapping[str, Any]], EncoderConfig]
    prefix: str
    base: dict[str, tuple[str, ...]]
    layer: dict[str, tuple[str, ...]]
    heads: dict[str, EncoderHead]

    def modules(self, num_layers: int, model_class: str) -> dict[str, tuple[str, ...]]:
        """Full names in a checkpoint by the encoder's own module names, with the head of a class of models."""
        layers = {
            f"layers.{index}.{own}": tuple(name.format(index) for name in names)
            for index in range(num_layers)
            for own, names in self.layer.items()
        }
        encoder = {**self.base, **layers}
        based = {own: tuple(f"{self.prefix}.{name}" for name in names) for own, names in encoder.items()}
        return {**based, **self.heads[model_class].modules}


_BERT_EMBEDDINGS: dict[str, tuple[str, ...]] = {
    "word_embeddings": ("embeddings.word_embeddings",),
    "position_embeddings": ("embeddings.position_embeddings",),
    "token_type_embeddings": ("embeddings.token_type_embeddings",),
    "embedding_norm": ("embeddings.LayerNorm",),
}
_BERT_LAYER: dict[str, tuple[str, ...]] = {
    "query_key_value": tuple(f"encoder.layer.{{}}.attention.self.{part}" for part in ("query", "key", "value")),
    "attention_output": ("encoder.layer.{}.attention.output.dense",),
    "attention_norm": ("encoder.layer.{}.attention.output.LayerNorm",),
    "intermediate": ("encoder.layer.{}.intermediate.dense",),
    "output": ("encoder.layer.{}.output.dense",),
    "output_norm": ("encoder.layer.{}.output.LayerNorm",),
}


def _heads(architecture: str, family: str, dense: str) -> dict[str, EncoderHead]:
    """The heads of a family, whose architectures' names begin alike; `dense` is what comes before the output layer."""
    of_texts = {"head_dense": (dense,), "head_output": (FAMILIES[family].output_layer,)}
    of_tokens = {"head_output": (FAMILIES[family].token_output_layer,)}
    return {
        SEQUENCE_CLASSIFICATION: EncoderHead(f"{architecture}ForSequenceClassification", of_texts),
        TOKEN_CLASSIFICATION: EncoderHead(f"{architecture}ForTokenClassification", of_tokens),
        NO_HEAD: EncoderHead(f"{architecture}Model", {}),
    }


ENCODERS = {
    "bert": EncoderFamily(
        settings=_bert_settings,
        prefix="bert",
        base=_BERT_EMBEDDINGS,
        layer=_BERT_LAYER,
        heads=_heads("Bert", "bert", "bert.pooler.dense"),
    ),
    # The same tensors by the same names.
    **{
        family: EncoderFamily(
            settings=_roberta_settings,
            prefix="roberta",
            base=_BERT_EMBEDDINGS,
            layer=_BERT_LAYER,
            heads=_heads(architecture, family, "classifier.dense"),
        )
        for family, architecture in (("roberta", "Roberta"), ("xlm-roberta", "XLMRoberta"), ("camembert", "Camembert"))
    },
    "electra": EncoderFamily(
        settings=_electra_settings,
        prefix="electra",
        base=_BERT_EMBEDDINGS | {"embedding_projection": ("embeddings_project",)},
        layer=_BERT_LAYER,
        heads=_heads("Electra", "electra", "classifier.dense"),
    ),
    "distilbert": EncoderFamily(
        settings=_distilbert_settings,
        prefix="distilbert",
        base={own: names for own, names in _BERT_EMBEDDINGS.items() if own != "token_type_embeddings"},
        layer={
            "query_key_value": tuple(f"transformer.layer.{{}}.attention.{part}_lin" for part in "qkv"),
            "attention_output": ("transformer.layer.{}.attention.out_lin",),
            "attention_norm": ("transformer.layer.{}.sa_layer_norm",),
            "intermediate": ("transformer.layer.{}.ffn.lin1",),
            "output": ("transformer.layer.{}.ffn.lin2",),
            "output_norm": ("transformer.layer.{}.output_layer_norm",),
        },
        heads=_heads("DistilBert", "distilbert", "pre_classifier"),
    ),
}


def expected_tensors(config: Mapping[str, Any]) -> dict[str, tuple[list[str], list[int]]]:
    """Tensors below the head that a checkpoint must have, by their new names: what they may be called, and their shape.

    Empty for a family whose tensors are not known, and for decoders.
    """
    if config.get("is_decoder"):
        return {}
    names = ENCODERS.get(config.get("model_type", ""))
    if names is None:
        return _expected_by_family(FAMILIES[config["model_type"]], config)
    settings = names.settings(config)
    shapes = _shapes(settings)
    expected = {}
    for own, modules in names.modules(settings.num_layers, SEQUENCE_CLASSIFICATION).items():
        if (shape := shapes.get(own.rpartition(".")[2])) is None:
            continue
        kinds = {"weight": shape} if own.endswith("_embeddings") else {"weight": shape, "bias": shape[:1]}
        for module in modules:
            for kind, size in kinds.items():
                expected[f"{module}.{kind}"] = (key_variants(module, kind, names.prefix), size)
    return expected


def _expected_by_family(family: Family, config: Mapping[str, Any]) -> dict[str, tuple[list[str], list[int]]]:
    expected = {}
    for name, shape in (family.tensors(config) if family.tensors else {}).items():
        module, _, kind = f"{family.tensor_prefix}.{name}".rpartition(".")
        has_old_name = kind in LEGACY_NAMES and module.endswith("LayerNorm")
        variants = key_variants(module, kind, family.tensor_prefix) if has_old_name else [f"{module}.{kind}", name]
        expected[f"{module}.{kind}"] = (variants, shape)
    return expected


def _shapes(settings: EncoderConfig) -> dict[str, list[int]]:
    """Shapes of weights below the head by the encoder's own names of modules, each of the parts of a joined one."""
    size, inner, embedding = settings.hidden_size, settings.intermediate_size, settings.embedding_size
    return {
        "word_embeddings": [settings.vocab_size, embedding],
        "position_embeddings": [settings.num_positions, embedding],
        **({"token_type_embeddings": [settings.num_token_types, embedding]} if settings.num_token_types else {}),
        "embedding_norm": [embedding],
        **({"embedding_projection": [size, embedding]} if embedding != size else {}),
        "query_key_value": [size, size],
        "attention_output": [size, size],
        "attention_norm": [size],
        "intermediate": [inner, size],
        "output": [size, inner],
        "output_norm": [size],
    }


def key_variants(module: str, kind: str, prefix: str) -> list[str]:
    """What a tensor ("weight" or "bias" of a module) is called in checkpoints, with or without the model's prefix."""
    forms = (module, module.removeprefix(f"{prefix}."))
    return [f"{form}.{name}" for form in forms for name in (kind, LEGACY_NAMES[kind])]
