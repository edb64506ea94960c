"""Sizes of models by their configuration, checked against published ones and against sums done by hand."""

import pytest

from shallower.models.size import BASE_CONFIG, COUNTERPART_CONFIGS, ModelSize, assumed_config

# Millions of parameters of the encoder, without a head (the checkpoints' own).
PUBLISHED = {
    ("BERT", 12): 108.3,
    ("BERT", 6): 65.8,
    ("RoBERTa", 12): 124.6,
    ("XLNet", 12): 116.7,
    ("DistilBERT", 6): 66.4,
    ("DistilRoBERTa", 6): 82.1,
    ("ALBERT", 12): 11.7,
    ("ALBERT", 6): 11.7,
}


def size_of(counterpart):
    config = BASE_CONFIG | COUNTERPART_CONFIGS.get(counterpart, {})
    if counterpart == "BERT":
        config["vocab_size"] = 28_996
    if counterpart == "XLNet":
        config = {"model_type": "xlnet", "d_model": 768, "n_layer": 12, "d_inner": 3072, "n_head": 12}
        config |= {"vocab_size": 32_000}
    if counterpart == "DistilBERT":
        config = {"model_type": "distilbert", "dim": 768, "n_layers": 6, "hidden_dim": 3072, "n_heads": 12}
        config |= {"vocab_size": 30_522}
    return ModelSize.of(config)


@pytest.mark.parametrize(("counterpart", "depth"), PUBLISHED)
def test_sizes_are_those_of_the_published_models(counterpart, depth):
    millions = size_of(counterpart).bytes(depth) / 4e6
    assert millions == pytest.approx(PUBLISHED[counterpart, depth], rel=0.06 if counterpart == "ALBERT" else 0.015)


def test_shared_layers_are_computed_each_but_stored_once():
    albert, bert = size_of("ALBERT"), size_of("BERT")
    assert albert.operations(12, 50) == bert.operations(12, 50) == 2 * bert.operations(6, 50)


def test_attention_grows_with_the_square_of_the_length():
    size = size_of("BERT")
    # Scores and their product with the values: 2 operations for each of 2 * tokens * hidden size, token by token.
    attention = 12 * 2 * 2 * 100 * 100 * 768
    assert size.operations(12, 100) == pytest.approx(100 * size.operations(12, 1) + attention, rel=1e-3)


def test_bf16_takes_half_the_space():
    assert 2 * size_of("BERT").bytes(6, "bf16") == size_of("BERT").bytes(6)


def test_a_model_that_is_not_here_is_taken_to_be_as_its_entry_says():
    assert assumed_config({"counterpart": "ALBERT"})["embedding_size"] == 128
    assert ModelSize.of(assumed_config({"num_layers": 3})).num_layers == 3


def test_a_size_can_be_a_key():
    """As in plans, which work a size out once."""
    assert len({ModelSize.of(BASE_CONFIG), ModelSize.of(BASE_CONFIG)}) == 1
