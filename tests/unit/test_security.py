"""No code of an input is ever run, and what is installed is pinned."""

import ast
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from bad_inputs import payload
from labelled import read_one
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import read_predictions
from shallower.evaluation.resamples import read_resamples
from shallower.models.weight_files import header
from shallower.sources.file_formats import SUFFIXES
from shallower.sources.labelled_files import Columns
from shallower.sources.models import MODEL_FILES, fetch_model
from tiny import make_model

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "workflow").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]

# Modules that run what they read.
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "runpy", "code"}
# Functions that run what they are given, by the end of their names.
FORBIDDEN_CALLS = re.compile(
    r"(^|\.)(eval|exec|__import__|system|popen|read_pickle|to_pickle|full_load|unsafe_load|yaml\.load)$"
)
# It runs the workflow's scripts, for processes of the same user alone.
ALLOWED = {"workflow/shallower/steps/server.py": ["import runpy"]}


def faults(source: str) -> Iterator[str]:
    """Calls and imports in a Python source that could run code of an input."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"import {name.name}" for name in names if name.name.split(".")[0] in FORBIDDEN_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield f"from {module}"
            case ast.Call():
                yield from call_faults(node)


def call_faults(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    # A model's eval() takes nothing and is something else.
    if FORBIDDEN_CALLS.search(name) and not (name.endswith(".eval") and not call.args):
        yield name
    if re.search(r"(^|\.)torch\.load$", name) and given.get("weights_only") != "True":
        yield f"{name} without weights_only=True"
    if re.search(r"(^|\.)(np|numpy)\.load$", name) and given.get("allow_pickle") != "False":
        yield f"{name} without allow_pickle=False"
    if given.get("shell", "False") != "False":
        yield f"{name} with a shell"
    if name.endswith(".from_pretrained") and given.get("trust_remote_code") != "False":
        yield f"{name} without trust_remote_code=False"
    if name.endswith(".from_pretrained") and "Model" in name and given.get("use_safetensors") != "True":
        yield f"{name} without use_safetensors=True"
    if given.get("trust_remote_code", "False") != "False":
        yield f"{name} with remote code"


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_no_module_runs_what_it_reads(path):
    assert list(faults(path.read_text(encoding="utf-8"))) == ALLOWED.get(str(path.relative_to(ROOT)), [])


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=choice)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(file, Loader=yaml.FullLoader)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "AutoTokenizer.from_pretrained(folder)",
        "AutoModel.from_pretrained(folder, trust_remote_code=False)",
        "AutoConfig.from_pretrained(folder, trust_remote_code=True)",
    ],
)
def test_what_is_forbidden_is_found(source):
    assert list(faults(source))


def test_only_the_converter_reads_pickles():
    """Even with torch's restricted unpickler: elsewhere there are no limits around it."""
    readers = {path.name for path in PYTHON if re.search(r"\btorch\.load\b|\bjit\.load\b", path.read_text())}
    assert readers == {"pickle_converter.py"}


HARMLESS = (
    r"environment\.HUB_OFFLINE|resources\.\w+|wildcards\.(max_length|seed|stage|method|examples)"
    r"|params\.(device|precision|confidence|threads|seeds|sequence_length|repeats|train_examples|weights)"
)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_quote_every_value(path):
    """Values go into commands quoted, but for those that only hold digits or a word of a fixed list."""
    commands = re.findall(r'^    shell:\n((?:        f?".*\n)+)', path.read_text(), flags=re.MULTILINE)
    assert len(commands) == len(re.findall(r"^    shell:", path.read_text(), flags=re.MULTILINE))
    for command in commands:
        values = re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", command)
        assert values
        unquoted = [value for value in values if not value.endswith(":q") and not re.fullmatch(HARMLESS, value)]
        assert not unquoted, unquoted


# --- pickles -------------------------------------------------------------------------------------------------------


def test_pickles_next_to_the_weights_are_not_read(tmp_path):
    make_model(tmp_path / "model", "bert")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "vocab.pkl", "rng.pth"):
        (tmp_path / "model" / name).write_bytes(payload(tmp_path))
    fetch_model({"name": "m", "source": "local", "directory": str(tmp_path / "model")}, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(MODEL_FILES)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_pickles_in_place_of_a_models_files_are_refused(name, tmp_path):
    make_model(tmp_path / "model", "bert")
    (tmp_path / "model" / name).write_bytes(payload(tmp_path))
    with pytest.raises(UserError):
        fetch_model({"name": "m", "source": "local", "directory": str(tmp_path / "model")}, tmp_path / "out")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pickles_in_place_of_data_are_refused(suffix, tmp_path):
    (tmp_path / f"a{suffix}").write_bytes(payload(tmp_path))
    with pytest.raises(UserError):
        read_one(tmp_path / f"a{suffix}", Columns(("text",), "label", ("a", "b")))
    assert not (tmp_path / "pwned").exists()


def test_pickles_within_data_stay_bytes(tmp_path):
    pq.write_table(pa.table({"text": [payload(tmp_path)], "label": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="row 1: text is b'"):
        read_one(tmp_path / "a.parquet", Columns(("text",), "label", ("a", "b")))
    assert not (tmp_path / "pwned").exists()


def predictions(path: Path) -> None:
    read_predictions(path, "classification")


@pytest.mark.parametrize("read", [read_resamples, read_tokens, predictions, header, read_json])
def test_pickles_in_place_of_what_the_pipeline_wrote_are_refused(read, tmp_path):
    (tmp_path / "file").write_bytes(payload(tmp_path))
    with pytest.raises(UserError):
        read(tmp_path / "file")
    assert not (tmp_path / "pwned").exists()


def test_arrays_of_pickled_objects_are_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([object], dtype=object), allow_pickle=True)
    start = content.getvalue()
    (tmp_path / "a.npy").write_bytes(start[: start.index(b"\n") + 1] + payload(tmp_path))
    with pytest.raises(UserError, match="not an array"):
        read_resamples(tmp_path / "a.npy")
    assert not (tmp_path / "pwned").exists()


def test_the_payload_works(tmp_path):
    """What the tests above look for does happen when it is unpickled."""
    import pickle

    pickle.loads(payload(tmp_path))
    assert (tmp_path / "pwned").exists()
    shutil.rmtree(tmp_path / "pwned")


# --- what is installed ---------------------------------------------------------------------------------------------


def pins(name: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return dict(re.fullmatch(r"([A-Za-z0-9._-]+)==([^=*\s]+)", line).groups() for line in lines if line)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-models.txt"])
def test_every_requirement_has_one_exact_version(name):
    found = pins(name)
    assert found
    assert len({normal(each) for each in found}) == len(found)


# Packages that can reach other machines.
REACHING = re.compile(
    r"^\s*(?:import|from) (urllib(?!\.parse)[\w.]*|http|requests|httpx\d?|aiohttp|ftplib|huggingface_hub|socket)\b",
    re.MULTILINE,
)
# Downloads and checks of the hub; an upload, and who reads a card's metadata; sockets between processes of one machine.
MAY_REACH = r"shallower/(sources/\w+|delivery/(upload|card)|engine/gpu_slots|steps/(client|server))\.py"


def test_only_few_modules_can_reach_the_network():
    found = {str(path.relative_to(ROOT / "workflow")): REACHING.findall(path.read_text("utf-8")) for path in PYTHON}
    found = {name: packages for name, packages in found.items() if packages}
    assert "shallower/sources/packages.py" in found
    assert [name for name in found if not re.fullmatch(MAY_REACH, name)] == []
    of_processes = [packages for name, packages in found.items() if re.search(r"/(engine|steps)/", name)]
    assert of_processes == [["socket"]] * 3


def test_only_downloads_use_the_network():
    texts = {path.name: path.read_text(encoding="utf-8") for path in RULES}
    prefix = re.search(r"^PREFIX = \(\n(.*?)^\)", "\n".join(texts.values()), flags=re.MULTILINE | re.DOTALL)
    assert prefix and " HF_HUB_OFFLINE=1 " in prefix[1]
    # Gives a command the setting back that the user had.
    online = {name: len(re.findall(r"HF_HUB_OFFLINE=(?!1 )", text)) for name, text in texts.items()}
    assert {name: count for name, count in online.items() if count} == {"download.smk": 4}


def test_what_is_asked_for_is_locked():
    locked = {normal(name): version for name, version in pins("requirements.lock").items()}
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    asked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?[~=]=([0-9.]+)", text, flags=re.MULTILINE)
    assert len(asked) > 15
    for name, version in asked:
        assert locked[normal(name)].startswith(version), name


# Conda's name of a package where it is another one.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.name)
def test_conda_environments_have_the_locked_versions(path):
    locked = {normal(name): version for name, version in pins("requirements.lock").items()}
    specs = [spec for spec in yaml.safe_load(path.read_text())["dependencies"] if spec != "pip"]
    for spec in specs:
        name, _, version = spec.partition("=")
        if name != "python":
            assert version == locked[normal(CONDA_NAMES.get(name, name))], spec
