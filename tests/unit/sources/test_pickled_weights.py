"""Pickled weights: converted where a study asks for it and they hold tensors only; else refused without effect."""

import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bad_inputs import payload
from hub_server import Fault, HubServer
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.sources import pickle_converter, pickled_weights
from shallower.sources.models import MODEL_FILES, fetch_model
from shallower.sources.pickle_converter import Refusal
from shallower.sources.pickled_weights import PICKLE, convert_pickle
from tiny import make_model

MODEL = ("model", "someone/model")
WEIGHTS = "model.safetensors"
SIZE = 1000


# What is converted


@pytest.fixture(scope="module")
def xlnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny XLNet as models were published in 2019: a pickle of torch's older form, with tied matrices."""
    folder = make_model(tmp_path_factory.mktemp("saved") / "xlnet", "xlnet")
    tensors = OrderedDict(load_file(folder / WEIGHTS))
    tensors["lm_loss.weight"] = tensors["transformer.word_embedding.weight"]
    torch.save(tensors, folder / PICKLE, _use_new_zipfile_serialization=False)
    shutil.move(folder / WEIGHTS, folder.parent / WEIGHTS)
    return folder


StartHub = Callable[..., HubServer]


@pytest.fixture
def server(xlnet: Path, start_hub: StartHub) -> HubServer:
    return start_hub({MODEL: xlnet})


def definition(server: HubServer, **more: Any) -> dict[str, Any]:
    entry = {"name": "mine", "source": "hub", "repository": "someone/model", "revision": server.revision(*MODEL)}
    return {**entry, **more}


def test_a_pickle_of_the_hub_becomes_the_same_model(server: HubServer, xlnet: Path, tmp_path: Path) -> None:
    entry = definition(server, pickled_weights="convert", num_layers=4)
    fetch_model(entry, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(MODEL_FILES)
    found, expected = load_file(tmp_path / "out" / WEIGHTS), load_file(xlnet.parent / WEIGHTS)
    assert found.keys() - expected.keys() == {"lm_loss.weight"}
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())

    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["converted_from"] == {PICKLE: sha256_of(xlnet / PICKLE)}
    assert manifest["source"] == entry
    assert "torch" in manifest["versions"]

    with pytest.raises(UserError, match=r"model\.safetensors has SHA-256 [0-9a-f]{64}, the study says sha256"):
        fetch_model({**entry, "sha256": "0" * 64}, tmp_path / "again")


def test_without_the_key_a_pickle_is_refused_unread(server: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"only as pytorch_model\.bin, which are not read .*pickled_weights: convert"):
        fetch_model(definition(server), tmp_path / "out")
    assert not server.asked("/resolve/")


def test_a_pickle_that_differs_from_the_hubs_hash_is_not_opened(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickled_weights, "_run", lambda *_: pytest.fail("it was opened"))
    server.faults = [Fault("^/cdn/.*bin", method="GET", corrupt=True, times=2)]
    with pytest.raises(UserError, match=r"pytorch_model\.bin differs from the hub's hash [0-9a-f]{64}"):
        fetch_model(definition(server, pickled_weights="convert"), tmp_path / "out")


def test_safetensors_are_preferred(xlnet: Path, tmp_path: Path, start_hub: StartHub) -> None:
    both = Path(shutil.copytree(xlnet, tmp_path / "both"))
    shutil.copy(xlnet.parent / WEIGHTS, both)
    server = start_hub({MODEL: both})
    fetch_model(definition(server, pickled_weights="convert"), tmp_path / "out")
    assert not server.asked("pytorch_model")
    assert "converted_from" not in read_json(tmp_path / "out" / "manifest.json")


def test_every_plain_tensor_of_a_file_of_zip_form_is_converted(tmp_path: Path) -> None:
    matrix = torch.randn(30, 20)
    tensors = OrderedDict(
        turned=matrix.t(), same=matrix, row=matrix[3], parameter=torch.nn.Parameter(torch.ones(2)),
        half=torch.randn(5).bfloat16(), ids=torch.arange(7), flags=torch.tensor([True]), number=torch.tensor(2.5),
    )  # fmt: skip
    torch.save(tensors, tmp_path / PICKLE)
    convert_pickle(tmp_path / PICKLE, tmp_path / WEIGHTS)
    found = load_file(tmp_path / WEIGHTS)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


# What is refused


class _Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def saved(content: Any, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def zip_bomb() -> bytes:
    """A file of zip form whose pickle is small on disk and unpacks to 1.3 GB."""
    file = io.BytesIO(saved({"a": torch.zeros(3)}))
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in contents.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
                if name.endswith("/data.pkl"):
                    for _ in range(1300):
                        member.write(bytes(10**6))
    return bomb.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda folder: payload(folder), "cannot be read as weights"),
        (lambda folder: saved({"a": _Call(_mkdir(), str(folder / "pwned"))}), "asks for posix.mkdir"),
        (lambda folder: saved({"a": _Call(_mkdir(), str(folder / "pwned"))}, old=True), "asks for posix.mkdir"),
        (lambda folder: saved({"a": {"b": [_Call(eval, "1")]}}), "asks for eval, which is no part of a tensor"),
        (lambda folder: saved({"a": _Call(torch.FloatTensor, 10**11)}), "needs more memory than a file of"),
        (lambda folder: zip_bomb(), "needs more memory than a file of its size may"),
        (lambda folder: saved({"a": torch.zeros(100)}, old=True)[:500], "cannot be read as weights"),
        (lambda folder: b"", "cannot be read as weights"),
    ],
    ids=["plain", "zip", "old", "nested", "huge tensor", "zip bomb", "cut short", "empty"],
)  # fmt: skip
def test_pickles_of_anything_else_are_refused_without_effect(
    content: Callable[[Path], bytes], message: str, tmp_path: Path
) -> None:
    (tmp_path / PICKLE).write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=rf"^pytorch_model\.bin ({message}).*; it is not converted: choose") as raised:
        convert_pickle(tmp_path / PICKLE, tmp_path / WEIGHTS)
    assert "weights_only" not in str(raised.value), "torch's advice to read it anyway is not to be shown"
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == [PICKLE]


def _mkdir() -> Callable[..., Any]:
    import os

    return os.mkdir


def test_a_malicious_pickle_of_the_hub_is_one_message(xlnet: Path, tmp_path: Path, start_hub: StartHub) -> None:
    evil = Path(shutil.copytree(xlnet, tmp_path / "evil"))
    (evil / PICKLE).write_bytes(saved({"a": _Call(_mkdir(), str(tmp_path / "pwned"))}))
    server = start_hub({MODEL: evil})
    with pytest.raises(UserError, match=r"^model mine: pytorch_model\.bin asks for posix\.mkdir"):
        fetch_model(definition(server, pickled_weights="convert"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ([torch.ones(2)], "holds a list, not a mapping"),
        (torch.ones(2), "holds a Tensor, not a mapping"),
        ({}, "holds no tensors"),
        ({"state_dict": {"a": torch.ones(2)}}, "'state_dict', which is a dict and not a tensor"),
        ({"epoch": 3}, "'epoch', which is a int and not a tensor"),
        ({3: torch.ones(2)}, "an entry with the name 3"),
        ({"": torch.ones(2)}, "an entry with the name ''"),
        ({"a\x1b[2J": torch.ones(2)}, r"an entry with the name 'a\\x1b\[2J'"),
        ({"__metadata__": torch.ones(2)}, "an entry with the name '__metadata__'"),
        ({"a": torch.eye(3).to_sparse()}, "'a', which is not dense"),
        ({"a": torch.empty(3, device="meta")}, "'a', which is without values"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, r"'a', which is of type torch\.complex64"),
        ({"a": torch.zeros(1).expand(10**9)}, "tensors of 4000000000 bytes, more than a file of its size"),
        ({"a": torch.zeros(100), **{str(number): torch.zeros(100) for number in range(9)}}, "tensors of 4000 bytes"),
    ],
    ids=str,
)
def test_only_a_flat_mapping_of_plain_tensors_is_taken(content: Any, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        pickle_converter._copies(content, 2 * SIZE)


# What the process can do


def test_the_process_gets_no_token_and_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spy.py").write_text("import os, sys; print(sorted(os.environ), sys.flags.isolated); sys.exit(3)")
    monkeypatch.setattr(pickle_converter, "__file__", str(tmp_path / "spy.py"))
    for name in ("HF_TOKEN", "HTTPS_PROXY", "PYTHONPATH", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        monkeypatch.setenv(name, "1")
    said = pickled_weights._run(tmp_path / PICKLE, tmp_path / WEIGHTS)
    assert said is not None
    names, isolated = said.rsplit(" ", 1)
    allowed = {*pickled_weights.KEPT_VARIABLES, "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "LC_CTYPE"}
    assert set(json.loads(names.replace("'", '"'))) <= allowed
    assert isolated == "1"


@pytest.mark.parametrize(
    "program, problem",
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"ended the process that read it \(SIGKILL\)"),
        ("raise ImportError('no torch here')", r"could not be converted \(ImportError: no torch here\)"),
        ("import time; time.sleep(60)", "takes longer than 1 seconds to read"),
    ],
)
def test_a_process_that_fails_is_one_message(
    program: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(program)
    monkeypatch.setattr(pickle_converter, "__file__", str(tmp_path / "failing.py"))
    monkeypatch.setattr(pickled_weights, "MOST_SECONDS", 1)
    with pytest.raises(UserError, match=rf"^pytorch_model\.bin {problem}; it is not converted"):
        convert_pickle(tmp_path / PICKLE, tmp_path / WEIGHTS)


ATTEMPTS = {
    "a pickle": "import pickle; pickle.loads(content)",
    "a socket": "import socket; socket.socket()",
    "a name look-up": "import socket; socket.gethostbyname('localhost')",
    "a program": "import subprocess; subprocess.Popen(['true'])",
    "a shell": "import os; os.system('true')",
    "a fork": "import os; os.fork()",
    "a new file": "open('pwned', 'w')",
    "a folder": "import os; os.mkdir('pwned')",
    "a removal": "import os; os.remove('content')",
    "a library": "import ctypes; ctypes.CDLL(None)",
}


def test_what_the_process_gives_up_is_given_up(tmp_path: Path) -> None:
    """Were the unpickler to run what it reads, the audit hook would still refuse it."""
    (tmp_path / "content").write_bytes(payload(tmp_path))
    program = (
        "import ctypes, json, socket, subprocess, sys\n"
        f"sys.path.insert(0, {str(Path(pickle_converter.__file__).parent)!r})\n"
        "from pickle_converter import Refusal, _refuse_event\n"
        f"attempts = json.loads({json.dumps(json.dumps(ATTEMPTS))})\n"
        "content = open('content', 'rb').read()\n"
        "sys.addaudithook(_refuse_event)\n"
        "for name, attempt in attempts.items():\n"
        "    try:\n"
        "        exec(attempt)\n"
        "    except Refusal:\n"
        "        continue\n"
        "    print(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["content"]
    with pytest.raises(FileExistsError):
        (tmp_path / "pwned").mkdir()
        pickle.loads(payload(tmp_path))
