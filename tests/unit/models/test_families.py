"""What is read from configurations and tensor names, for each supported architecture."""

from dataclasses import replace

import pytest

import tiny
from shallower.core.errors import UserError
from shallower.models.families import FAMILIES, check_model_class, family_of, position_limit
from shallower.models.family import Family, check_kept_layers
from tiny_families import TINY


@pytest.mark.parametrize(
    ("family", "depth_key"),
    [
        ("bert", "num_hidden_layers"),
        ("roberta", "num_hidden_layers"),
        ("xlnet", "n_layer"),
        ("distilbert", "n_layers"),
        ("albert", "num_hidden_layers"),
    ],
)
def test_depth_is_read_and_set_under_the_familys_own_key(family, depth_key):
    config = {"model_type": family, depth_key: 12, "hidden_size": 768, "id2label": {"0": "no"}}

    assert family_of(config).name == family
    assert family_of(config).num_layers(config) == 12
    shortened = family_of(config).shortened_config(config, [0, 1, 5])

    assert shortened == config | {depth_key: 3}
    assert config[depth_key] == 12, "the original must not change"


def test_depth_under_the_common_name_is_understood():
    config = {"model_type": "distilbert", "num_hidden_layers": 6}

    assert FAMILIES["distilbert"].num_layers(config) == 6
    assert FAMILIES["distilbert"].shortened_config(config, [2])["num_hidden_layers"] == 1


def test_depth_stated_under_two_keys_is_set_under_both():
    config = {"model_type": "xlnet", "n_layer": 4, "num_hidden_layers": 4}

    shortened = FAMILIES["xlnet"].shortened_config(config, [0, 3])

    assert (shortened["n_layer"], shortened["num_hidden_layers"]) == (2, 2)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "lacks 'n_layers'"),
        ({"n_layers": 0}, "at least 1"),
        ({"n_layers": "6"}, "whole number"),
        ({"n_layers": True}, "whole number"),
        ({"n_layers": 6.0}, "whole number"),
        ({"n_layers": 6, "num_hidden_layers": 12}, "two numbers of layers"),
    ],
)
def test_unusable_depths_are_refused(config, words):
    with pytest.raises(UserError, match=words):
        FAMILIES["distilbert"].num_layers(config)


def test_albert_with_several_groups_is_refused():
    config = {"model_type": "albert", "num_hidden_layers": 12, "num_hidden_groups": 3}

    with pytest.raises(UserError, match="num_hidden_groups 3"):
        family_of(config).num_layers(config)
    assert family_of(config).num_layers(config | {"num_hidden_groups": 1}) == 12


def test_per_layer_lists_keep_the_entries_of_the_kept_layers():
    family = replace(FAMILIES["bert"], per_layer_lists=("layer_types", "window_sizes"))
    config = {"num_hidden_layers": 4, "layer_types": ["a", "b", "c", "d"], "window_sizes": None}

    shortened = family.shortened_config(config, [1, 3])

    assert shortened == {"num_hidden_layers": 2, "layer_types": ["b", "d"], "window_sizes": None}


ALTERNATING = replace(
    FAMILIES["bert"],
    layer_kinds=lambda config, depth: ["local" if layer % config["every"] else "global" for layer in range(depth)],
    older_kind_keys=("every",),
    protected={0: "it is the first"},
)


@pytest.mark.parametrize(
    ("config", "kept", "shortened"),
    [
        # The older key stays where it still says the same, and goes where it does not.
        ({"every": 2}, [0, 1, 2], {"every": 2, "layer_types": ["global", "local", "global"]}),
        ({"every": 2}, [0, 2], {"layer_types": ["global", "global"]}),
        ({"every": 3, "layer_types": ["global", "b", "c", "d"]}, [0, 3], {"layer_types": ["global", "d"]}),
    ],
)
def test_kinds_of_layers_are_written_out(config, kept, shortened):
    config = {"num_hidden_layers": 4, **config}
    assert ALTERNATING.shortened_config(config, kept) == {"num_hidden_layers": len(kept), **shortened}
    assert ALTERNATING.stack(config).kinds == tuple(config.get("layer_types", ["global", "local", "global", "local"]))
    with pytest.raises(UserError, match="layer 0 would go, but must stay: it is the first"):
        ALTERNATING.shortened_config(config, [1, 2])
    with pytest.raises(UserError, match="'layer_types' must be a list of 4 entries"):
        ALTERNATING.stack(config | {"layer_types": ["a"]})


def test_per_layer_list_of_another_length_is_refused():
    family = replace(FAMILIES["bert"], per_layer_lists=("layer_types",))

    with pytest.raises(UserError, match="'layer_types' must be a list of 4 entries"):
        family.shortened_config({"num_hidden_layers": 4, "layer_types": ["a", "b", "c"]}, [0])


@pytest.mark.parametrize(
    ("family", "tensor", "layer", "moved"),
    [
        ("bert", "bert.encoder.layer.10.output.dense.weight", 10, "bert.encoder.layer.1.output.dense.weight"),
        ("bert", "encoder.layer.3.output.LayerNorm.bias", 3, "encoder.layer.1.output.LayerNorm.bias"),
        ("roberta", "roberta.encoder.layer.0.output.bias", 0, "roberta.encoder.layer.1.output.bias"),
        ("xlnet", "transformer.layer.11.ff.layer_1.weight", 11, "transformer.layer.1.ff.layer_1.weight"),
        ("xlnet", "layer.2.rel_attn.q", 2, "layer.1.rel_attn.q"),
        ("distilbert", "distilbert.transformer.layer.5.ffn.w", 5, "distilbert.transformer.layer.1.ffn.w"),
        ("distilbert", "transformer.layer.4.ffn.lin2.weight", 4, "transformer.layer.1.ffn.lin2.weight"),
    ],
)  # fmt: skip
def test_tensors_of_layers_are_recognised_and_renamed(family, tensor, layer, moved):
    assert FAMILIES[family].layer_of(tensor) == layer
    assert FAMILIES[family].moved_to(tensor, 1) == moved
    assert FAMILIES[family].moved_to(tensor, layer) == tensor


@pytest.mark.parametrize(
    ("family", "tensor"),
    [
        ("bert", "bert.embeddings.LayerNorm.weight"),
        ("bert", "bert.pooler.dense.weight"),
        ("bert", "classifier.weight"),
        ("bert", "decoder.encoder.layer.0.weight"),
        ("bert", "head.layer.3.weight"),
        ("xlnet", "sequence_summary.layer.0.weight"),
        ("distilbert", "pre_classifier.weight"),
        ("albert", "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"),
    ],
)
def test_other_tensors_belong_to_no_layer(family, tensor):
    assert FAMILIES[family].layer_of(tensor) is None
    assert FAMILIES[family].within_layer(tensor) is None
    with pytest.raises(ValueError, match="is not a tensor of a"):
        FAMILIES[family].moved_to(tensor, 0)


@pytest.mark.parametrize(
    ("family", "tensor", "name"),
    [
        ("bert", "bert.encoder.layer.10.output.dense.weight", "output.dense.weight"),
        ("roberta", "encoder.layer.0.attention.output.dense.bias", "attention.output.dense.bias"),
        ("xlnet", "transformer.layer.2.rel_attn.q", "rel_attn.q"),
        ("distilbert", "transformer.layer.4.ffn.lin2.weight", "ffn.lin2.weight"),
    ],
)
def test_names_within_layers(family, tensor, name):
    assert FAMILIES[family].within_layer(tensor) == name


def test_unknown_architecture_is_refused_with_the_supported_ones():
    with pytest.raises(UserError, match=r"'t5' is not supported.*bert, roberta, .*distilbert, .*xlnet, albert"):
        family_of({"model_type": "t5"})


def test_decoders_tag_no_words():
    for family in FAMILIES.values():
        check_model_class(family, "AutoModelForSequenceClassification")
        if family.has_cls_token:
            check_model_class(family, "AutoModelForTokenClassification")
            continue
        with pytest.raises(UserError, match=rf"family {family.name} does not suit tokens: .*choose a model .*: bert, "):
            check_model_class(family, "AutoModelForTokenClassification")


def test_an_architecture_that_people_ask_for_is_refused_with_the_reason():
    with pytest.raises(UserError, match=r"'gemma3' is not supported: it reads pictures, too; .* gemma3_text"):
        family_of({"model_type": "gemma3"})


@pytest.mark.parametrize("config", [{}, {"model_type": None}, {"model_type": ["bert"]}])
def test_missing_architecture_is_refused(config):
    with pytest.raises(UserError, match="lacks 'model_type'"):
        family_of(config)


def test_models_with_their_own_code_are_refused():
    with pytest.raises(UserError, match="auto_map"):
        family_of({"model_type": "bert", "auto_map": {"AutoModel": "modeling.Mine"}})


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ([], "no layer would be kept"),
        ([0, 4], r"layers \[4\].*0 to 3"),
        ([-1], r"layers \[-1\]"),
        ([2, 1], "ascending"),
        ([1, 1], "without repeats"),
    ],
)
def test_unusable_layers_to_keep_are_refused(kept, words):
    with pytest.raises(UserError, match=words):
        check_kept_layers(kept, 4)


def layers_of_bert(*layers: int) -> list[str]:
    return [f"bert.encoder.layer.{layer}.{part}" for layer in layers for part in ("weight", "bias")]


def test_whole_layers_pass_the_check():
    FAMILIES["bert"].check_layers(3, [*layers_of_bert(0, 1, 2), "bert.pooler.dense.weight"])
    FAMILIES["albert"].check_layers(12, ["albert.pooler.weight"])


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (layers_of_bert(0, 2), r"states 3 layers .* lack layers \[1\]"),
        (layers_of_bert(0, 1, 2, 3, 4), r"hold layers \[3, 4\] too"),
        (layers_of_bert(1, 2, 3), r"lack layers \[0\] and hold layers \[3\] too"),
        (["pooler.weight"], r"no layers under the names of a bert model, but names such as 'pooler.weight'"),
        (layers_of_bert(0, 1, 2)[:-1], r"layer 2 lack 1 of 2 tensors, such as 'bert.encoder.layer.2.bias'"),
    ],
)
def test_weights_of_other_layers_than_stated_are_refused(tensors, words):
    with pytest.raises(UserError, match=words):
        FAMILIES["bert"].check_layers(3, tensors)


def test_positions_counted_from_behind_the_padding_token_leave_fewer_for_tokens(monkeypatch):
    config = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert position_limit(config) == 512
    assert position_limit(config | {"model_type": "bert"}) == 514
    monkeypatch.setitem(FAMILIES, "mpnet", Family("mpnet", r"layer\.", "output.dense", positions_after_padding=True))
    assert position_limit(config | {"model_type": "mpnet"}) == 512
    assert position_limit({"model_type": "xlnet", "max_position_embeddings": -1}) is None


def test_only_optional_tensors_may_be_missing_from_some_layers():
    tensors = ["encoder.layer.0.a.weight", "encoder.layer.0.bias.weight", "encoder.layer.1.a.weight"]
    with pytest.raises(UserError, match=r"layer 1 lack 1 of 2"):
        FAMILIES["bert"].check_layers(2, tensors)
    replace(FAMILIES["bert"], optional_tensors=("bias.weight",)).check_layers(2, tensors)


def test_every_family_has_a_tiny_model():
    assert set(TINY) == set(FAMILIES)
    assert set(tiny.FAMILIES) <= set(TINY)
