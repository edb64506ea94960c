"""BERT-like classifiers: the same function of the same weights as in transformers, computed with less work.

The tokens of a batch are packed one after another, so that only attention sees padding. Queries, keys and values are
computed by one matrix product. In the last layer only the [CLS] token is computed, where the head reads nothing else;
the other tokens are only keys and values there. A sentence embedding may pool all tokens instead, and has no head.
Dropout is that of `shallower.engine.dropout`. The results are the same: tests compare logits and gradients with those
of transformers' models.

On a GPU a training step of a short batch takes as long as it takes to start its kernels. So there are few of them: in
bfloat16 attention reads the packed tokens, and all weights are rounded by one kernel, not one by one. (Matrix products
of sizes that occurred before are started sooner: see `shallower.engine.classifiers.packed_batch`.)
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import ClassVar

import torch
from torch import nn
from torch.autograd.function import BackwardCFunction
from torch.nn import functional

from shallower.engine.classifiers.packed_batch import Packed
from shallower.engine.dropout import Dropout
from shallower.models.encoder_families import EncoderConfig
from shallower.models.pooling import embed, pool
from shallower.models.sentence_embedding import SentenceEmbedding

ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_new": lambda states: functional.gelu(states, approximate="tanh"),
    "relu": functional.relu,
    "tanh": torch.tanh,
}
HALVES = (torch.bfloat16, torch.float16)


# Weights come from a checkpoint, so random initialisation would be wasted time. (On the device "meta", which would also
# avoid it, torch imports its compiler.)
class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        pass


class _LayerNorm(nn.LayerNorm):
    def reset_parameters(self) -> None:
        pass


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        pass


class Layer(nn.Module):
    """The parameters of one layer: attention and a feed-forward network, each with a norm after it."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.query_key_value = _Linear(size, 3 * size)
        self.attention_output = _Linear(size, size)
        self.attention_norm = _LayerNorm(size, config.norm_epsilon)
        self.intermediate = _Linear(size, config.intermediate_size)
        self.output = _Linear(config.intermediate_size, size)
        self.output_norm = _LayerNorm(size, config.norm_epsilon)


class Encoder(nn.Module):
    """Embeddings, layers and a classification head, of texts or of tokens, or pooling (`embedding`) without a head.

    New parameters are not initialised.
    """

    layers: Sequence[Layer]  # an nn.ModuleList, whose own type does not say of what

    def __init__(
        self,
        config: EncoderConfig,
        num_labels: int,
        answers_tokens: bool = False,
        embedding: SentenceEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        size, width = config.hidden_size, config.embedding_size
        self.word_embeddings = _Embedding(config.vocab_size, width)
        self.position_embeddings = _Embedding(config.num_positions, width)
        if config.num_token_types:
            self.token_type_embeddings = _Embedding(config.num_token_types, width)
        self.embedding_norm = _LayerNorm(width, config.norm_epsilon)
        if width != size:
            self.embedding_projection = _Linear(width, size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))  # type: ignore[assignment]
        self.answers_tokens = answers_tokens
        if embedding is None:
            if not answers_tokens:
                self.head_dense = _Linear(size, size)
            self.head_output = _Linear(size, num_labels)
        self._linears = [module for module in self.modules() if isinstance(module, _Linear)]
        self._rounded: dict[nn.Linear, tuple[torch.Tensor, torch.Tensor]] = {}  # weights and biases during a pass

    def forward(self, batch: Packed, dropout: Dropout) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [B, labels] and the vectors [B, H] of [CLS] tokens after the last layer, which the head reads.

        Of labels of words both are of the words' tokens [R]; of a sentence embedding both are the vectors of the texts.
        """
        if not (self.word_embeddings.weight.is_cuda and torch.is_autocast_enabled("cuda")):
            return self._forward(batch, dropout)
        operands = [operand for linear in self._linears for operand in (linear.weight, linear.bias)]
        rounded = round_together(operands, torch.get_autocast_dtype("cuda"))
        self._rounded.update(zip(self._linears, zip(rounded[::2], rounded[1::2], strict=True), strict=True))
        try:
            return self._forward(batch, dropout)
        finally:
            self._rounded.clear()

    def _forward(self, batch: Packed, dropout: Dropout) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.embed(batch, dropout)
        for layer in self.layers[:-1]:
            states = self.apply_layer(layer, states, batch, dropout)
        last = self.layers[-1]
        if batch.read is not None:
            context = self._attend(last, states, batch, dropout).index_select(0, batch.read)
            states = self._transform(last, context, states.index_select(0, batch.read), dropout)
            return self.classify(states, dropout), states
        if self.embedding is None or self.embedding.pooling == "cls":
            context = self._attend_from_cls_token(last, states, batch, dropout)
            states = self._transform(last, context, states.index_select(0, batch.starts), dropout)
        else:
            states = self.apply_layer(last, states, batch, dropout)
            states = pool(batch.pad(states), _mask(batch), self.embedding.pooling)
        if self.embedding is None:
            logits = self.classify(states, dropout)
        else:
            logits = states = functional.normalize(states, dim=-1) if self.embedding.normalize else states
        if batch.examples < batch.size:
            return logits[: batch.examples], states[: batch.examples]
        return logits, states

    def answer(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """What a model that ends here answers, without dropout, for states [T, H]: logits, or vectors of texts.

        Logits are of texts or, of labels of words, of these.
        """
        if self.embedding is None:
            read = batch.starts if batch.read is None else batch.read
            return self.classify(states.index_select(0, read), Dropout())
        return embed(batch.pad(states), _mask(batch), self.embedding.pooling, self.embedding.normalize)

    def apply_layer(self, layer: Layer, states: torch.Tensor, batch: Packed, dropout: Dropout) -> torch.Tensor:
        """States [T, H] after a layer, of states [T, H] before it."""
        return self._transform(layer, self._attend(layer, states, batch, dropout), states, dropout)

    def classify(self, states: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """Logits [B, labels] for states [B, H] of the tokens that are read, after the last layer."""
        config = self.config
        if self.answers_tokens:
            return self._linear(self.head_output, dropout(states, config.token_head_dropout))
        if config.drops_head_input:
            states = dropout(states, config.head_dropout)
        states = ACTIVATIONS[config.head_activation](self._linear(self.head_dense, states))
        return self._linear(self.head_output, dropout(states, config.head_dropout))

    def _operands(self, linear: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
        """The weight and bias to compute with."""
        return self._rounded.get(linear) or (linear.weight, linear.bias)

    def _linear(self, linear: nn.Linear, states: torch.Tensor) -> torch.Tensor:
        return functional.linear(states, *self._operands(linear))

    def embed(self, batch: Packed, dropout: Dropout) -> torch.Tensor:
        """Embeddings [T, H] of the tokens."""
        # As in transformers, what is looked up for padding tokens is not trained.
        states = functional.embedding(batch.input_ids, self.word_embeddings.weight, batch.padding_row)
        positions = self.position_embeddings.weight
        states = states + functional.embedding(batch.positions, positions, self.config.padding_id)
        if self.config.num_token_types:
            types = torch.zeros_like(batch.input_ids) if batch.token_type_ids is None else batch.token_type_ids
            states = states + self.token_type_embeddings(types)
        states = dropout(self.embedding_norm(states), self.config.hidden_dropout)
        if self.config.embedding_size == self.config.hidden_size:
            return states
        return self._linear(self.embedding_projection, states)

    def _attend(self, layer: Layer, states: torch.Tensor, batch: Packed, dropout: Dropout) -> torch.Tensor:
        """Context [T, H] of every token."""
        mixed = self._linear(layer.query_key_value, states)
        if batch.ends is not None and self._is_packable(mixed):
            query, key, value = self._packed_heads(mixed, 3)
            rate = dropout.rate(self.config.attention_dropout)
            length = batch.max_length
            return packed_attention(query, key, value, batch.ends, batch.ends, length, length, rate).flatten(1)
        mixed = batch.pad(mixed)
        query, key, value = self._heads(mixed, 3)
        context = attention(query, key, value, batch.attention_bias, self.config.attention_dropout, dropout)
        return batch.unpad(context.transpose(1, 2).reshape(batch.size, batch.max_length, -1))

    def _attend_from_cls_token(
        self, layer: Layer, states: torch.Tensor, batch: Packed, dropout: Dropout
    ) -> torch.Tensor:
        """Context [B, H] of each example's first token."""
        size = self.config.hidden_size
        weight, bias = self._operands(layer.query_key_value)
        cls_states = functional.linear(states.index_select(0, batch.starts), weight[:size], bias[:size])
        mixed = functional.linear(states, weight[size:], bias[size:])
        if batch.ends is not None and batch.counts is not None and self._is_packable(mixed):
            (query,), (key, value) = self._packed_heads(cls_states, 1), self._packed_heads(mixed, 2)
            rate = dropout.rate(self.config.attention_dropout)
            lengths = (1, batch.max_length)
            return packed_attention(query, key, value, batch.counts, batch.ends, *lengths, rate).flatten(1)
        mixed = batch.pad(mixed)
        (query,), (key, value) = self._heads(cls_states[:, None], 1), self._heads(mixed, 2)
        context = attention(query, key, value, batch.attention_bias, self.config.attention_dropout, dropout)
        return context.reshape(batch.size, size)

    def _is_packable(self, mixed: torch.Tensor) -> bool:
        """Whether `packed_attention` can compute with these queries, keys and values on a GPU."""
        size = self.config.hidden_size // self.config.num_heads
        return mixed.dtype in HALVES and size % 8 == 0 and size <= 256 and has_packed_attention()

    def _packed_heads(self, mixed: torch.Tensor, parts: int) -> tuple[torch.Tensor, ...]:
        """[T, parts * H] as `parts` of [T, heads, H / heads]."""
        return mixed.view(len(mixed), parts, self.config.num_heads, -1).unbind(1)

    def _heads(self, mixed: torch.Tensor, parts: int) -> torch.Tensor:
        """[B, L, parts * H] as [parts, B, heads, L, H / heads]."""
        return mixed.view(*mixed.shape[:2], parts, self.config.num_heads, -1).permute(2, 0, 3, 1, 4)

    def _transform(self, layer: Layer, context: torch.Tensor, states: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """What follows attention in a layer, for any number of tokens: [N, H] to [N, H]."""
        config = self.config
        attended = dropout.add(self._linear(layer.attention_output, context), states, config.attention_output_dropout)
        states = layer.attention_norm(attended)
        hidden = ACTIVATIONS[config.activation](self._linear(layer.intermediate, states))
        hidden = self._linear(layer.output, hidden)
        return layer.output_norm(dropout.add(hidden, states, config.hidden_dropout))


def _mask(batch: Packed) -> torch.Tensor | None:
    """Which places [B, L] of a batch hold tokens; None where all do."""
    return None if batch.attention_bias is None else batch.attention_bias[:, 0, 0] == 0


def round_together(tensors: Sequence[torch.Tensor], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """float32 tensors in a lower precision, as autocast has them one by one, with few kernels on a GPU."""
    return _RoundTogether.apply(dtype, *tensors)


class _RoundTogether(torch.autograd.Function):
    apply: ClassVar[Callable[..., tuple[torch.Tensor, ...]]]

    @staticmethod
    def forward(ctx: BackwardCFunction, dtype: torch.dtype, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        rounded = _copies(tensors, dtype)
        trained: Sequence[bool] = ctx.needs_input_grad[1:]
        ctx.mark_non_differentiable(*(one for one, needed in zip(rounded, trained, strict=True) if not needed))
        return tuple(rounded)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        given = [gradient for gradient in gradients if gradient is not None]
        copies = iter(_copies(given, torch.float32))
        return (None, *(None if gradient is None else next(copies) for gradient in gradients))


def _copies(tensors: Sequence[torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """Contiguous copies in another precision, parts of one tensor: to make each by itself takes longer than to copy."""
    sizes = [tensor.numel() for tensor in tensors]
    parts = torch.empty(sum(sizes), dtype=dtype, device=tensors[0].device).split(sizes)
    copies = [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
    torch._foreach_copy_(copies, list(tensors))
    return copies


@cache
def has_packed_attention() -> bool:
    """Whether torch has `packed_attention`'s kernel."""
    return torch.backends.cuda.is_flash_attention_available()


def packed_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_ends: torch.Tensor,
    key_ends: torch.Tensor,
    max_queries: int,
    max_keys: int,
    rate: float,
) -> torch.Tensor:
    """`attention` without padding, in bfloat16 on a GPU: [T, heads, d] of packed queries on packed keys.

    `query_ends` and `key_ends` int32 [B + 1] are 0 and where each example ends. torch itself calls this kernel for
    nested tensors, whose own bookkeeping takes longer than the kernel.
    """
    return torch.ops.aten._flash_attention_forward(
        query, key, value, query_ends, key_ends, max_queries, max_keys, rate, False, False
    )[0]


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_bias: torch.Tensor | None,
    rate: float,
    dropout: Dropout,
) -> torch.Tensor:
    """Scaled dot-product attention, with dropout on its weights: of Q queries on L keys, to [B, heads, Q, d].

    `attention_bias` [B, 1, 1, L] is added to the scores.
    """
    if query.is_cuda:
        bias = None if attention_bias is None else attention_bias.to(query.dtype)
        return functional.scaled_dot_product_attention(query, key, value, bias, dropout.rate(rate))
    # On a CPU torch's own function is slow with dropout. One product for each example and head:
    shape = query.shape
    query, key, value = (part.reshape(-1, *part.shape[2:]) for part in (query * shape[-1] ** -0.5, key, value))
    scores = torch.bmm(query, key.transpose(1, 2)).view(*shape[:3], -1)
    if attention_bias is not None:
        scores = scores + attention_bias
    weights = dropout(torch.softmax(scores, -1), rate)
    return torch.bmm(weights.flatten(0, 1), value).view(shape)
