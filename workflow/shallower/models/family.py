"""What differs between architectures whose layers can be dropped: the form of the entries of `FAMILIES`.

Configurations are read as plain mappings (config.json); neither torch nor transformers is needed.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shallower.core.errors import UserError
from shallower.core.model_classes import SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION
from shallower.models.stack import Stack

# More than any model has: a number beyond it is a mistake, and must not make lists of that length.
MAX_LAYERS = 1000
# transformers' key of the kind of attention of each layer.
LAYER_TYPES = "layer_types"


@dataclass(frozen=True)
class Family:
    """What is particular to an architecture: the names of its tensors and of its settings, and how it counts.

    Which side is padded depends on the tokenizer, so it is stored with the tokens.

    Attributes:
        name: `model_type` in config.json.
        layer_pattern: regular expression of what stands before a layer's index in a tensor's name, matched
            from the start; the base model's own prefix is optional, since checkpoints come with and without
            it. None when all layers share one set of weights.
        shared_pattern: the same for the one set of weights, where all layers share it.
        output_matrix: what a layer calls the matrix that it ends with, the second of its feed-forward part;
            None when all layers share one set of weights.
        word_embeddings: how the name of the matrix of word embeddings ends.
        depth_key: the configuration's number of layers.
        hidden_key, inner_key, heads_key: the configuration's sizes of vectors and of the feed-forward network's inner
            layer, and its number of attention heads.
        inner_factor: how many times the size of vectors the inner layer has where a configuration does not say it; None
            where it must.
        head_size: size of a head where the configuration has no `head_dim`; None for an equal share of the vectors.
        inner_matrices: weight matrices of the feed-forward network: two, or three where one of them is a gate.
        positions_key: the configuration's number of positions.
        learns_positions: whether there is an embedding for each of them.
        per_layer_lists: keys of configuration lists with one entry a layer.
        derived_lists: what such a list holds, by a configuration and its number of layers, where it is missing.
        layer_kinds: for a family whose layers may have several kinds of attention, what each layer's is by a
            configuration and its number of layers where `layer_types` does not list them; None for other families.
        older_kind_keys: the keys by which it is then said.
        protected: layers that every model of the family must keep, each with the reason.
        optional_tensors: tensors, named as within a layer, that some layers may lack.
        buffers: what old checkpoints store of a layer, named as within it, though it is no weight; it is left out.
        pooler: what the base model calls its part of the head, which a checkpoint may lack.
        cls_place: where the head reads the [CLS] token in a padded input: 0, the first place, or -1, the last. None for
            a family without such a token, whose head reads the last token that is no padding.
        pooling_key: the configuration's key of what the head reads: "mean", the mean of all tokens' vectors, or another
            word for one token's; empty for a family whose heads read one token.
        final_norm: what the base model calls the norm between its last layer and the head; empty for a family without.
        has_dense_head: whether the head has a layer of its own below the output layer.
        output_layer: what the head for classification calls its last linear layer.
        token_output_layer: the same of the head that answers each token.
        no_token_head: why models of the family cannot answer tokens; empty where they can.
        no_vectors: why they cannot be sentence embeddings; empty where they can.
        attention_matrices: weight matrices [hidden, hidden] of a layer's attention.
        relative_positions: for a family whose attention compares contents with relative positions, the further matrices
            of a layer for it, and with how many positions each token is compared, by a configuration.
        token_types_key: the configuration's number of token types, `default_token_types` where it is missing; None for
            a family that takes any, or none.
        positions_after_padding: whether positions are counted without padding tokens, from behind their id.
        default_padding_id: the padding token's id where config.json has none.
        fixed_padding: whether positions are counted from `default_padding_id` whatever config.json says.
        default_embedding_size: the size of word embeddings where config.json has none; None for that of all vectors.
        after_first_layer: what the base model calls a module that it applies once, behind its first layer; empty for
            none.
        tensors: names and shapes of the base model's tensors for a configuration, without the prefix that a checkpoint
            may put before them (`tensor_prefix`), and without the pooler; None where they are not known, or known to
            `shallower.models.encoder_families`.
        forward_arguments: further arguments of the model's forward pass.
        takes_token_types: whether the model's forward pass knows token types at all.
        onnx_mask: how export to ONNX gives the attention mask to the model: "additive", as what is added to attention's
            scores, which makes the smallest graph; "float", as 1 and 0 (XLNet subtracts it from a float, which torch's
            exporter cannot do with whole numbers); "plain", as transformers' users give it (DeBERTa also masks
            embeddings by it, decoders' masks are of several kinds).
        no_onnx: why the family cannot be exported to ONNX; empty where it can.
        refused_settings: keys of a configuration that must not be set, each with the reason and the remedy.
        unfit: what else of a configuration transformers would not compute as it is meant, with the remedy, or None.
        replaced_code: regular expression of entries of a configuration's `auto_map`, for a family that came with code
            of its own before transformers had it: what they name is not run, since transformers computes the same.
        former_depth_key: a key by which that code read the number of layers; kept in step with `depth_key`.
        unembedded_tokens: tokens of the tokenizer that have no place in the model's vocabulary, and that no text needs.
    """

    name: str
    layer_pattern: str | None
    output_matrix: str | None
    word_embeddings: str = "word_embeddings.weight"
    depth_key: str = "num_hidden_layers"
    hidden_key: str = "hidden_size"
    inner_key: str = "intermediate_size"
    heads_key: str = "num_attention_heads"
    inner_factor: int | None = None
    head_size: int | None = None
    inner_matrices: int = 2
    positions_key: str = "max_position_embeddings"
    learns_positions: bool = True
    per_layer_lists: tuple[str, ...] = ()
    derived_lists: Mapping[str, Callable[[Mapping[str, Any], int], list[Any]]] = field(default_factory=dict)
    layer_kinds: Callable[[Mapping[str, Any], int], list[str]] | None = None
    older_kind_keys: tuple[str, ...] = ()
    protected: Mapping[int, str] = field(default_factory=dict)
    optional_tensors: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    pooler: str = "pooler"
    cls_place: int | None = 0
    pooling_key: str = ""
    final_norm: str = ""
    has_dense_head: bool = True
    output_layer: str = "classifier"
    token_output_layer: str = "classifier"
    no_token_head: str = ""
    no_vectors: str = ""
    attention_matrices: int = 4
    relative_positions: Callable[[Mapping[str, Any]], tuple[int, int]] | None = None
    token_types_key: str | None = "type_vocab_size"
    default_token_types: int = 2
    positions_after_padding: bool = False
    shared_pattern: str | None = None
    tensor_prefix: str = ""
    tensors: Callable[[Mapping[str, Any]], dict[str, list[int]]] | None = None
    default_padding_id: int | None = 0
    fixed_padding: bool = False
    default_embedding_size: int | None = None
    after_first_layer: str = ""
    forward_arguments: Mapping[str, Any] = field(default_factory=dict)
    takes_token_types: bool = True
    onnx_mask: Literal["additive", "float", "plain"] = "additive"
    no_onnx: str = ""
    refused_settings: Mapping[str, str] = field(default_factory=dict)
    unfit: Callable[[Mapping[str, Any]], str | None] | None = None
    replaced_code: str = ""
    former_depth_key: str = ""
    unembedded_tokens: tuple[str, ...] = ()

    @property
    def has_cls_token(self) -> bool:
        """Whether the head reads a token of a kind of its own."""
        return self.cls_place is not None

    def replaces_code(self, config: Mapping[str, Any]) -> bool:
        """Whether transformers computes what the code does that a configuration names (`auto_map`), all of it."""
        entries = config.get("auto_map")
        return (
            bool(self.replaced_code)
            and isinstance(entries, Mapping)
            and all(isinstance(entry, str) and re.fullmatch(self.replaced_code, entry) for entry in entries.values())
        )

    def reads_mean(self, config: Mapping[str, Any]) -> bool:
        """Whether the head of the model of a configuration reads the mean of all tokens' vectors."""
        return bool(self.pooling_key) and config.get(self.pooling_key) == "mean"

    @property
    def shares_layers(self) -> bool:
        """Whether all layers share one set of weights, so that dropping one changes nothing but the depth."""
        return self.layer_pattern is None

    def num_layers(self, config: Mapping[str, Any]) -> int:
        """Number of layers that a configuration states.

        Raises UserError when it is missing, not a whole number from 1 to MAX_LAYERS or stated twice with different
        values, and when shared layers come in several groups.
        """
        values = {key: config[key] for key in self._depth_keys if key in config}
        if not values:
            raise UserError(
                f"config.json of a {self.name} model lacks {self.depth_key!r}, its number of layers; add it"
            )
        for key, value in values.items():
            if type(value) is not int or not 1 <= value <= MAX_LAYERS:
                raise UserError(f"config.json: {key!r} is {value!r}; it must be a whole number of layers, at least 1")
        if len(set(values.values())) > 1:
            raise UserError(f"config.json states two numbers of layers, {values}; keep {self.depth_key!r} only")
        if self.shares_layers and config.get("num_hidden_groups", 1) != 1:
            raise UserError(
                f"config.json: {self.name} with num_hidden_groups {config['num_hidden_groups']} is not "
                "supported; choose a model whose layers all share one set of weights (num_hidden_groups 1)"
            )
        return next(iter(values.values()))

    def stack(self, config: Mapping[str, Any]) -> Stack:
        """The layers of the model of a configuration, for choices among them.

        Raises UserError as `num_layers` does, and for kinds of layers that are no list of one entry a layer.
        """
        depth = self.num_layers(config)
        kinds = () if self.layer_kinds is None else tuple(_per_layer(LAYER_TYPES, self._kinds(config), depth))
        return Stack(depth, self.protected, kinds, self.name)

    def shortened_config(self, config: Mapping[str, Any], kept_layers: Sequence[int]) -> dict[str, Any]:
        """The configuration of the model that has only `kept_layers` (0-based, ascending).

        The depth is set under each key that states it, every per-layer list keeps the entries of the kept
        layers, and all else is unchanged. Kinds of layers are written as a list, also where an older key stated them;
        that key goes where it no longer says the same. Raises UserError for layers that the model does not have, for
        a choice without layers that must stay, and for per-layer lists of another length.
        """
        stack = self.stack(config)
        depth = stack.num_layers
        check_kept_layers(kept_layers, depth)
        if problem := stack.problem({*range(depth)} - {*kept_layers}):
            raise UserError(f"{self.name}: {problem}")
        shortened = dict(config)
        for key in self._depth_keys:
            if key in config:
                shortened[key] = len(kept_layers)
        for key in self.per_layer_lists:
            entries = config.get(key)
            if entries is None and key in self.derived_lists:
                entries = self.derived_lists[key](config, depth)
            if entries is not None:
                shortened[key] = [_per_layer(key, entries, depth)[layer] for layer in kept_layers]
        if stack.kinds:
            kinds = [stack.kinds[layer] for layer in kept_layers]
            without_list = {key: value for key, value in shortened.items() if key != LAYER_TYPES}
            if self._kinds(without_list) != kinds:
                shortened = {key: value for key, value in shortened.items() if key not in self.older_kind_keys}
            shortened[LAYER_TYPES] = kinds
        return shortened

    def layer_of(self, tensor: str) -> int | None:
        """Layer (0-based) that a tensor belongs to, or None: embeddings, heads and shared weights."""
        match = self._match(tensor)
        return int(match["layer"]) if match else None

    def is_layer_list(self, module: str) -> bool:
        """Whether a module of a model is the list of its layers or, of one with shared layers, of their groups."""
        return self.within_any_layer(f"{module}." if self.shares_layers else f"{module}.0.") == ""

    def within_layer(self, tensor: str) -> str | None:
        """What a layer's tensor is called within its layer, such as output.dense.weight; None outside layers."""
        match = self._match(tensor)
        return tensor[match.end() :] if match else None

    def within_any_layer(self, tensor: str) -> str | None:
        """The same as `within_layer`, also for a tensor of the one set of weights that all layers share."""
        if self.shared_pattern is None:
            return self.within_layer(tensor)
        match = re.match(self.shared_pattern, tensor)
        return tensor[match.end() :] if match else None

    def moved_to(self, tensor: str, layer: int) -> str:
        """Name of a layer's tensor once it belongs to another layer."""
        match = self._match(tensor)
        if not match:
            raise ValueError(f"{tensor} is not a tensor of a {self.name} layer")
        return f"{tensor[: match.start('layer')]}{layer}{tensor[match.end('layer') :]}"

    def in_pooler(self, tensor: str) -> bool:
        """Whether a tensor, named as within the base model, belongs to its pooler."""
        return tensor.startswith(f"{self.pooler}.")

    def num_token_types(self, config: Mapping[str, Any]) -> int | None:
        """How many token types a model's table has, 0 where it has no table; None where any will do."""
        return None if self.token_types_key is None else config.get(self.token_types_key, self.default_token_types)

    def embedding_size(self, config: Mapping[str, Any]) -> Any:
        """Size of word embeddings by a configuration, which may be another one than that of all other vectors."""
        size = config.get("embedding_size", self.default_embedding_size)
        return either(config, self.hidden_key, "hidden_size") if size is None else size

    def output_layer_of(self, model_class: str) -> str:
        """The last linear layer of the head that one of `shallower.core.model_classes` has."""
        return {SEQUENCE_CLASSIFICATION: self.output_layer, TOKEN_CLASSIFICATION: self.token_output_layer}[model_class]

    def padding_id(self, config: Mapping[str, Any]) -> int | None:
        """The padding token's id by a configuration, which may say that there is none."""
        return config.get("pad_token_id", self.default_padding_id)

    def first_position(self, config: Mapping[str, Any]) -> int:
        """The position of an example's first token."""
        return (self.padding_id(config) or 0) + 1 if self.positions_after_padding else 0

    def check_layers(self, num_layers: int, tensors: Iterable[str]) -> None:
        """Raise UserError unless a checkpoint's tensors are those of exactly `num_layers` whole layers.

        Layers are whole when all have the same tensors but for `optional_tensors`. Shared weights are not checked.
        """
        if self.shares_layers:
            return
        parts: dict[int, set[str]] = defaultdict(set)
        names = list(tensors)
        for tensor in names:
            if (layer := self.layer_of(tensor)) is not None:
                parts[layer].add(self.moved_to(tensor, 0))
        if names and not parts:
            of_a_layer = next((name for name in names if re.search(r"\.[0-9]+\.", name)), names[0])
            raise UserError(
                f"the weights hold no layers under the names of a {self.name} model, but names such as {of_a_layer!r}; "
                "save the model alone, with its own save_pretrained, or correct model_type in config.json"
            )
        missing = sorted(set(range(num_layers)) - set(parts))
        surplus = sorted(set(parts) - set(range(num_layers)))
        if missing or surplus:
            found = [f"lack layers {missing}"] * bool(missing) + [f"hold layers {surplus} too"] * bool(surplus)
            raise UserError(
                f"config.json states {num_layers} layers (0 to {num_layers - 1}), but the weights "
                f"{' and '.join(found)}; both must be of the same model"
            )
        whole = set().union(*parts.values())
        for layer in sorted(parts):
            optional = {tensor for tensor in whole if self.within_layer(tensor) in self.optional_tensors}
            if lost := sorted(whole - parts[layer] - optional):
                name = self.moved_to(lost[0], layer)
                raise UserError(
                    f"the weights of layer {layer} lack {len(lost)} of {len(whole)} tensors, "
                    f"such as {name!r}; get the model again"
                )

    @property
    def _depth_keys(self) -> tuple[str, ...]:
        # transformers reads the common name too, whatever the family's own one is.
        keys = dict.fromkeys([self.depth_key, "num_hidden_layers", self.former_depth_key])
        return tuple(key for key in keys if key)

    def _kinds(self, config: Mapping[str, Any]) -> Any:
        """The kinds of a configuration's layers, as it lists them or by an older key."""
        stated = config.get(LAYER_TYPES)
        if stated is not None or self.layer_kinds is None:
            return stated
        return self.layer_kinds(config, self.num_layers(config))

    def _match(self, tensor: str) -> re.Match[str] | None:
        return None if self.shares_layers else re.match(rf"{self.layer_pattern}(?P<layer>[0-9]{{1,6}})\.", tensor)


def _per_layer(key: str, entries: Any, depth: int) -> list[Any]:
    """A list of one entry a layer. Raises UserError when it is none."""
    if not isinstance(entries, list) or len(entries) != depth:
        raise UserError(f"config.json: {key!r} must be a list of {depth} entries, one a layer; correct it")
    return entries


def check_kept_layers(kept_layers: Sequence[int], num_layers: int) -> None:
    """Raise UserError unless `kept_layers` are ascending 0-based layers of a model, at least one of them."""
    if not kept_layers:
        raise UserError("no layer would be kept; keep at least one")
    outside = [layer for layer in kept_layers if not 0 <= layer < num_layers]
    if outside:
        raise UserError(f"layers {outside} to keep are not in the model, whose layers are 0 to {num_layers - 1}")
    if list(kept_layers) != sorted(set(kept_layers)):
        raise UserError(f"layers to keep must be in ascending order and without repeats, not {list(kept_layers)}")


def either(config: Mapping[str, Any], own: str, common: str) -> Any:
    """A setting by a family's own key or the common one, which transformers reads, too; None where there is neither."""
    return config[own] if own in config else config.get(common)
