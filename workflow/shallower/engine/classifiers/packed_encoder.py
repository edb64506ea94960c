"""BERT-like classifiers: the same function of the same weights as in transformers, computed with less work.

The tokens of a batch are packed one after another, so that only attention sees padding. Queries, keys and values are
computed by one matrix product. In the last layer only the [CLS] token is computed, since the head reads nothing else;
the other tokens are only keys and values there. Dropout is that of `shallower.engine.dropout`. The results are the
same: tests compare logits and gradients with those of transformers' models.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from shallower.engine.classifiers.packed_batch import Packed
from shallower.engine.dropout import Dropout
from shallower.models.encoder_families import EncoderConfig

ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_new": lambda states: functional.gelu(states, approximate="tanh"),
    "relu": functional.relu,
    "tanh": torch.tanh,
}


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
    """Embeddings, layers and a classification head. New parameters are not initialised."""

    layers: Sequence[Layer]  # an nn.ModuleList, whose own type does not say of what

    def __init__(self, config: EncoderConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.word_embeddings = _Embedding(config.vocab_size, size)
        self.position_embeddings = _Embedding(config.num_positions, size)
        if config.num_token_types:
            self.token_type_embeddings = _Embedding(config.num_token_types, size)
        self.embedding_norm = _LayerNorm(size, config.norm_epsilon)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))  # type: ignore[assignment]
        self.head_dense = _Linear(size, size)
        self.head_output = _Linear(size, num_labels)

    def forward(self, batch: Packed, dropout: Dropout) -> torch.Tensor:
        """Logits [B, labels]."""
        config = self.config
        states = dropout(self._embed(batch), config.hidden_dropout)
        for layer in self.layers[:-1]:
            states = self._transform(layer, self._attend(layer, states, batch, dropout), states, dropout)
        last = self.layers[-1]
        context = self._attend_from_cls_token(last, states, batch, dropout)
        states = self._transform(last, context, states.index_select(0, batch.starts), dropout)
        if config.drops_head_input:
            states = dropout(states, config.head_dropout)
        states = ACTIVATIONS[config.head_activation](self.head_dense(states))
        return self.head_output(dropout(states, config.head_dropout))

    def _embed(self, batch: Packed) -> torch.Tensor:
        """Embeddings [T, H] of the tokens."""
        states = self.word_embeddings(batch.input_ids)
        states = states + self.position_embeddings(batch.positions + self.config.first_position)
        if self.config.num_token_types:
            types = torch.zeros_like(batch.input_ids) if batch.token_type_ids is None else batch.token_type_ids
            states = states + self.token_type_embeddings(types)
        return self.embedding_norm(states)

    def _attend(self, layer: Layer, states: torch.Tensor, batch: Packed, dropout: Dropout) -> torch.Tensor:
        """Context [T, H] of every token."""
        mixed = batch.pad(layer.query_key_value(states))
        query, key, value = self._heads(mixed, 3)
        context = attention(query, key, value, batch.attention_bias, self.config.attention_dropout, dropout)
        return batch.unpad(context.transpose(1, 2).reshape(batch.size, batch.max_length, -1))

    def _attend_from_cls_token(
        self, layer: Layer, states: torch.Tensor, batch: Packed, dropout: Dropout
    ) -> torch.Tensor:
        """Context [B, H] of each example's first token."""
        size = self.config.hidden_size
        weight, bias = layer.query_key_value.weight, layer.query_key_value.bias
        cls_states = functional.linear(states.index_select(0, batch.starts), weight[:size], bias[:size])
        mixed = batch.pad(functional.linear(states, weight[size:], bias[size:]))
        (query,), (key, value) = self._heads(cls_states[:, None], 1), self._heads(mixed, 2)
        context = attention(query, key, value, batch.attention_bias, self.config.attention_dropout, dropout)
        return context.reshape(batch.size, size)

    def _heads(self, mixed: torch.Tensor, parts: int) -> torch.Tensor:
        """[B, L, parts * H] as [parts, B, heads, L, H / heads]."""
        return mixed.view(*mixed.shape[:2], parts, self.config.num_heads, -1).permute(2, 0, 3, 1, 4)

    def _transform(self, layer: Layer, context: torch.Tensor, states: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """What follows attention in a layer, for any number of tokens: [N, H] to [N, H]."""
        config = self.config
        attended = dropout.add(layer.attention_output(context), states, config.attention_output_dropout)
        states = layer.attention_norm(attended)
        hidden = layer.output(ACTIVATIONS[config.activation](layer.intermediate(states)))
        return layer.output_norm(dropout.add(hidden, states, config.hidden_dropout))


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
