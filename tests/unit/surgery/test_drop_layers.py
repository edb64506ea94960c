"""Dropping layers from checkpoints: the shallower model is the full one with those layers bypassed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import tiny
from shallower.core.errors import UserError
from shallower.core.files import sha256_of
from shallower.models.families import FAMILIES
from shallower.models.folder import WEIGHTS, dropped_from
from shallower.models.weight_files import header, weight_files
from shallower.surgery.drop_layers import drop_layers

PROJECT = Path(__file__).parents[3]

NUM_LAYERS = 4
KEPT = [1, 2]
TEXTS = (["the good old man", "a dog in the warm house"], ["two words", "they read a sad story of rain"])

# Reloads shallower models as anyone would who gets only their folders, and prints what came out.
RELOAD = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
torch.set_num_threads(1)
answers = []
for folder, inputs in json.loads(sys.stdin.read()):
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    with torch.no_grad():
        logits = model.eval()(**{name: torch.tensor(values) for name, values in inputs.items()}).logits
    answers.append({
        "depth": model.config.num_hidden_layers,
        "problems": [sorted(info[f"{problem}_keys"]) for problem in ("missing", "unexpected", "mismatched")],
        "logits": logits.tolist(),
    })
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def full_models(tmp_path_factory) -> dict[str, Path]:
    """A classifier of each family."""
    folder = tmp_path_factory.mktemp("full")
    return {family: tiny.make_model(folder / family, family, NUM_LAYERS, labels=3) for family in tiny.FAMILIES}


@pytest.fixture(scope="module")
def reloaded(full_models, tmp_path_factory) -> dict[str, dict]:
    """What a fresh process finds in each shallower model; one process for all, as importing takes long."""
    folder = tmp_path_factory.mktemp("dropped")
    questions = []
    for family, source in full_models.items():
        drop_layers(source, KEPT, folder / family)
        questions.append([str(folder / family), inputs_of(source)])
    result = subprocess.run(
        [sys.executable, "-c", RELOAD],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(result.stdout)
    return {family: answer | {"folder": folder / family} for family, answer in zip(full_models, answers, strict=True)}


def inputs_of(folder: Path) -> dict[str, list]:
    """A padded batch of two pairs of texts; XLNet pads on the left."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return dict(tokenizer(*TEXTS, padding=True))


def bypassed_logits(folder: Path, family: str, kept: list[int]) -> torch.Tensor:
    """Logits of the full model whose dropped layers give back their input."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    layers = list(tiny.layers_of(model) or [])
    calls = iter(range(NUM_LAYERS))

    def give_back_input(module, arguments, output):
        layer = layers.index(module) if layers else next(calls)
        if layer in kept:
            return output
        changed = arguments[0]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    for module in layers or [model.base_model.encoder.albert_layer_groups[0]]:
        module.register_forward_hook(give_back_input)
    with torch.no_grad():
        return model(**{name: torch.tensor(values) for name, values in inputs_of(folder).items()}).logits


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_logits_equal_those_of_the_full_model_with_the_layers_bypassed(family, full_models, reloaded):
    everything = bypassed_logits(full_models[family], family, list(range(NUM_LAYERS)))
    expected = bypassed_logits(full_models[family], family, KEPT)
    others = bypassed_logits(full_models[family], family, [0, 1])

    found = torch.tensor(reloaded[family]["logits"])

    assert torch.allclose(found, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(found, everything, rtol=0, atol=1e-3), "dropping must change the model"
    if family != "albert":
        assert not torch.allclose(found, others, rtol=0, atol=1e-3), "it must matter which layers are kept"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_fresh_process_loads_every_tensor_at_the_right_depth(family, reloaded):
    assert reloaded[family]["depth"] == len(KEPT)
    assert reloaded[family]["problems"] == [[], [], []]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_kept_tensors_are_the_same_and_dropped_ones_are_not_there(family, full_models, reloaded):
    before = load_file(full_models[family] / WEIGHTS)
    after = load_file(reloaded[family]["folder"] / WEIGHTS)
    origins = {}
    for name in before:
        layer = FAMILIES[family].layer_of(name)
        if layer is None:
            origins[name] = name
        elif layer in KEPT:
            origins[FAMILIES[family].moved_to(name, KEPT.index(layer))] = name

    assert set(after) == set(origins)
    for name, origin in origins.items():
        assert torch.equal(after[name], before[origin]), name
    if family != "albert":
        assert len(after) < len(before)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_configuration_changes_in_nothing_but_depth(family, full_models, reloaded):
    before = json.loads((full_models[family] / "config.json").read_text())
    after = json.loads((reloaded[family]["folder"] / "config.json").read_text())

    depth_key = FAMILIES[family].depth_key
    kinds = {key: [before[key][layer] for layer in KEPT] for key in ("layer_types",) if key in before}
    older = {key for key in FAMILIES[family].older_kind_keys if key not in after}
    expected = before | {depth_key: len(KEPT)} | kinds
    assert after == {key: value for key, value in expected.items() if key not in older}


def test_only_weights_configuration_and_manifest_are_written(reloaded):
    for answer in reloaded.values():
        names = sorted(path.name for path in answer["folder"].iterdir())
        assert names == ["config.json", "manifest.json", WEIGHTS]


def tensors_of(folder):
    """Type, shape and bytes of each tensor of a model."""
    with safe_open(folder / WEIGHTS, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    return {name: (tensor.dtype, tensor.shape, tensor.tobytes()) for name, tensor in tensors.items()}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_manifest_holds_the_checksums_of_the_files_and_of_their_source(family, full_models, tmp_path):
    drop_layers(full_models[family], KEPT, tmp_path / "dropped")
    assert dropped_from(tmp_path / "dropped") == [sha256_of(full_models[family] / WEIGHTS)]
    assert dropped_from(full_models[family]) is None
    manifest = json.loads((tmp_path / "dropped/manifest.json").read_text())
    names = [WEIGHTS, "config.json"]
    assert manifest["sha256"] == {name: sha256_of(tmp_path / "dropped" / name) for name in names}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_sharded_checkpoint_gives_the_same_weights(family, full_models, reloaded, tmp_path):
    sharded = tiny.make_model(tmp_path / "sharded", family, NUM_LAYERS, labels=3, max_shard_size="20KB")
    assert not (sharded / WEIGHTS).exists()

    drop_layers(sharded, KEPT, tmp_path / "dropped")

    assert tensors_of(tmp_path / "dropped") == tensors_of(reloaded[family]["folder"])
    assert dropped_from(tmp_path / "dropped") == [sha256_of(file) for file in weight_files(sharded)]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("bare", [False, True], ids=["pre-training", "bare"])
def test_checkpoints_without_classifier_lose_layers_too(family, bare, tmp_path):
    source = tiny.make_model(tmp_path / "full", family, NUM_LAYERS, bare=bare)

    drop_layers(source, KEPT, tmp_path / "dropped")

    full = transformers.AutoModel.from_pretrained(source)
    dropped, info = transformers.AutoModel.from_pretrained(tmp_path / "dropped", output_loading_info=True)
    assert not [name for name in info["missing_keys"] if "pooler" not in name]
    assert dropped.config.num_hidden_layers == len(KEPT)
    if tiny.layers_of(full) is not None:
        for place, layer in enumerate(KEPT):
            expected = tiny.layers_of(full)[layer].state_dict()
            found = tiny.layers_of(dropped)[place].state_dict()
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_keeping_every_layer_copies_the_model(full_models, tmp_path):
    drop_layers(full_models["bert"], range(NUM_LAYERS), tmp_path)

    for name in (WEIGHTS, "config.json"):
        source, copy = full_models["bert"] / name, tmp_path / name
        if name == WEIGHTS:
            assert header(copy) == header(source)
            size = sum(tensor.nbytes for tensor in load_file(source).values())
            assert copy.read_bytes()[-size:] == source.read_bytes()[-size:]
        else:
            assert json.loads(copy.read_text()) == json.loads(source.read_text())


def test_half_precision_weights_stay_as_they_are(full_models, tmp_path):
    shutil.copytree(full_models["bert"], tmp_path / "full")
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(tmp_path / "full" / WEIGHTS).items()}
    save_file(tensors, tmp_path / "full" / WEIGHTS, metadata={"format": "pt"})

    drop_layers(tmp_path / "full", [1], tmp_path / "dropped")

    after = load_file(tmp_path / "dropped" / WEIGHTS)
    name = "bert.encoder.layer.{}.output.dense.weight"
    assert torch.equal(after[name.format(0)], tensors[name.format(1)])
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("stated", "words"),
    [(6, r"states 6 layers .* lack layers \[4, 5\]"), (3, r"states 3 layers .* hold layers \[3\] too")],
)
def test_weights_of_another_depth_than_stated_are_refused(stated, words, full_models, tmp_path):
    shutil.copytree(full_models["bert"], tmp_path / "full")
    change_config(tmp_path / "full", num_hidden_layers=stated)

    with pytest.raises(UserError, match=words):
        drop_layers(tmp_path / "full", [0, 1], tmp_path / "dropped")
    assert not (tmp_path / "dropped").exists()


def test_a_layer_that_lacks_a_tensor_is_refused(full_models, tmp_path):
    shutil.copytree(full_models["xlnet"], tmp_path / "full")
    tensors = load_file(tmp_path / "full" / WEIGHTS)
    del tensors["transformer.layer.2.ff.layer_2.weight"]
    save_file(tensors, tmp_path / "full" / WEIGHTS, metadata={"format": "pt"})

    with pytest.raises(UserError, match=r"layer 2 lack 1 of .*'transformer\.layer\.2\.ff\.layer_2\.weight'"):
        drop_layers(tmp_path / "full", [0, 1], tmp_path / "dropped")


@pytest.mark.parametrize(("kept", "words"), [([], "no layer"), ([0, 4], r"layers \[4\]"), ([1, 0], "ascending")])
def test_unusable_layers_to_keep_are_refused(kept, words, full_models, tmp_path):
    with pytest.raises(UserError, match=words):
        drop_layers(full_models["roberta"], kept, tmp_path / "dropped")
    assert not (tmp_path / "dropped").exists()


def test_a_model_is_not_replaced_by_its_shallower_self(full_models):
    before = (full_models["bert"] / WEIGHTS).read_bytes()

    with pytest.raises(UserError, match="name another folder"):
        drop_layers(full_models["bert"], KEPT, full_models["bert"] / "../bert")
    assert (full_models["bert"] / WEIGHTS).read_bytes() == before


# --- drop_layers.py ---


def choice(kept: list[int], num_layers: int = NUM_LAYERS) -> dict:
    """What layers.json holds, as far as the script looks at it."""
    dropped = [layer for layer in range(num_layers) if layer not in kept]
    return {"num_layers": num_layers, "kept_layers": kept, "dropped_layers": dropped, "order": dropped}


def run_script(model: Path, layers: dict, folder: Path, stage: int | None = None) -> subprocess.CompletedProcess:
    folder.mkdir(exist_ok=True)
    (folder / "layers.json").write_text(json.dumps(layers))
    script = PROJECT / "workflow/scripts/drop_layers.py"
    options = ["--model-dir", model, "--layers", folder / "layers.json", "--output-dir", folder / "dropped"]
    options += ["--stage", stage] if stage is not None else []
    return subprocess.run(
        [sys.executable, str(script), *map(str, options)],
        env={"PYTHONPATH": str(PROJECT / "workflow")},
        capture_output=True,
        text=True,
    )


def test_script_drops_what_layers_json_says(full_models, reloaded, tmp_path):
    result = run_script(full_models["distilbert"], choice(KEPT), tmp_path)

    assert result.returncode == 0, result.stderr
    expected = reloaded["distilbert"]["folder"]
    for name in (WEIGHTS, "config.json"):
        assert (tmp_path / "dropped" / name).read_bytes() == (expected / name).read_bytes()


def test_script_refuses_layers_chosen_for_another_model(full_models, tmp_path):
    result = run_script(full_models["bert"], choice([0, 1], 12), tmp_path)

    assert result.returncode == 1
    assert "is for a full model of 12 layers" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "dropped").exists()


ORDERED = choice([2]) | {"order": [0, 3, 1]}


@pytest.mark.parametrize("family", ["xlnet", "albert"])
def test_script_drops_layers_one_by_one(family, full_models, tmp_path):
    """Stage by stage the model is the one that loses as many layers at once."""
    model = full_models[family]
    for stage, kept in enumerate([[1, 2, 3], [1, 2], [2]], start=1):
        result = run_script(model, ORDERED, tmp_path / str(stage), stage)
        assert result.returncode == 0, result.stderr

        model = tmp_path / str(stage) / "dropped"
        drop_layers(full_models[family], kept, tmp_path / "at-once" / str(stage))
        at_once = tmp_path / "at-once" / str(stage)
        assert tensors_of(model) == tensors_of(at_once)
        assert (model / "config.json").read_bytes() == (at_once / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("layers", "stage", "words"),
    [
        (ORDERED, 2, "the model has 4 layers instead of 3; its layers.json is for a full model of 4 layers"),
        (choice([2, 4, 5, 6], 7), 4, "'order' of layers.json has 3 layers, not 4"),
        (ORDERED | {"order": []}, 1, "layers.json: corrupt: it does not say of every layer"),
        (ORDERED | {"kept_layers": [3]}, 1, "layers.json: corrupt: it does not say of every layer"),
        ({"num_layers": NUM_LAYERS}, 1, "layers.json: corrupt: it does not say of every layer"),
        (ORDERED, 0, "stages are counted from 1"),
    ],
    ids=["wrong depth", "stage beyond the order", "no order", "two choices", "no choice", "stage zero"],
)
def test_script_refuses_stages_that_do_not_fit(layers, stage, words, full_models, tmp_path):
    result = run_script(full_models["bert"], layers, tmp_path, stage)

    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "dropped").exists()
