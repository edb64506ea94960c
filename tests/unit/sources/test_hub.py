"""The real huggingface_hub against a hub on this machine: what is fetched, verified, retried and refused."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from hub_server import ALWAYS, GATED, Fault, HubServer
from shallower.core.errors import UserError
from shallower.core.files import sha256_of
from shallower.sources import hub, hub_requests

WEIGHTS = bytes(range(256)) * 2000
MODEL = ("model", "someone/model")
BAD_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}
DATA = ("dataset", "someone/data")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folders(tmp_path: Path) -> dict[tuple[str, str], Path]:
    """Two small repositories: a model with unneeded files next to it, and a data set with sub-folders."""
    model, data = tmp_path / "served" / "model", tmp_path / "served" / "data"
    (data / "mrpc").mkdir(parents=True)
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert"}')
    (model / "model.safetensors").write_bytes(WEIGHTS)
    (model / "pytorch_model.bin").write_bytes(b"not wanted")
    (data / "mrpc" / "train.parquet").write_bytes(WEIGHTS[:1000])
    (data / "mrpc" / "validation.parquet").write_bytes(WEIGHTS[1000:1500])
    (data / "README.md").write_text("not wanted")
    return {MODEL: model, DATA: data}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No real waiting between attempts; the seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


Serve = Callable[..., HubServer]


@pytest.fixture
def serve(folders: dict[tuple[str, str], Path], start_hub: Serve, waits: list[float]) -> Serve:
    """Start a server of the two folders."""
    return partial(start_hub, folders)


def fetch(server: HubServer, *names: str, to: Path, repository: tuple[str, str] = MODEL) -> dict[str, Path]:
    repo_type, repo_id = repository
    return hub.download(repo_id, server.revision(*repository), names, repo_type, to)


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_cache_without_locks_is_named_with_a_remedy(serve: Serve, tmp_path: Path, monkeypatch) -> None:
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    server = serve()
    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UserError, match=r"config\.json: the cache .* without locks; set HF_HOME"):
        fetch(server, "config.json", to=tmp_path / "out")


def test_only_the_named_files_arrive(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    paths = fetch(server, "config.json", "model.safetensors", to=tmp_path / "out")
    assert paths == {name: tmp_path / "out" / name for name in ("config.json", "model.safetensors")}
    assert paths["model.safetensors"].read_bytes() == WEIGHTS
    assert paths["config.json"].read_text() == '{"model_type": "bert"}'
    assert sorted(path.name for path in files_under(tmp_path / "out")) == ["config.json", "model.safetensors"]
    assert not any(path.is_symlink() for path in files_under(tmp_path / "out"))
    assert not server.asked("pytorch_model")
    assert server.asked("^/cdn/"), "large files are to come from the store"


def test_a_data_set_keeps_its_folders(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    paths = fetch(server, "mrpc/train.parquet", "mrpc/validation.parquet", to=tmp_path / "out", repository=DATA)
    assert paths["mrpc/validation.parquet"] == tmp_path / "out" / "mrpc" / "validation.parquet"
    assert paths["mrpc/validation.parquet"].read_bytes() == WEIGHTS[1000:1500]
    assert server.asked("^/datasets/someone/data/resolve/")


def test_finished_downloads_are_reused_without_asking(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    fetch(server, "config.json", "model.safetensors", to=tmp_path / "out")
    server.requests.clear()
    fetch(server, "config.json", "model.safetensors", to=tmp_path / "again")
    assert server.requests == []
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == WEIGHTS


def test_an_interrupted_download_goes_on_with_what_is_missing(serve: Serve, tmp_path: Path) -> None:
    server = serve(Fault("^/cdn/", status=404, times=1))
    with pytest.raises(UserError, match=r"model\.safetensors: the hub answered HTTP status 404"):
        fetch(server, "config.json", "model.safetensors", to=tmp_path / "out")
    server.requests.clear()
    fetch(server, "config.json", "model.safetensors", to=tmp_path / "out")
    assert not server.asked("config.json")


def test_list_files(serve: Serve) -> None:
    server = serve()
    names = hub.list_files("someone/data", server.revision(*DATA), "dataset")
    assert names == ["README.md", "mrpc/train.parquet", "mrpc/validation.parquet"]


# Commits of pull requests


@pytest.fixture
def pull_request(folders: dict[tuple[str, str], Path], tmp_path: Path) -> Path:
    """What a pull request would make of the model: other weights, which main does not have."""
    folder = Path(shutil.copytree(folders[MODEL], tmp_path / "served" / "pull request"))
    (folder / "model.safetensors").write_bytes(WEIGHTS[::-1])
    return folder


@pytest.fixture
def with_pull_request(serve: Serve, pull_request: Path) -> HubServer:
    return serve(pull_requests={MODEL: [pull_request]})


def test_a_commit_of_a_pull_request_is_found_by_its_hash(with_pull_request: HubServer, tmp_path: Path) -> None:
    commit = with_pull_request.revision(*MODEL, "refs/pr/1")
    assert commit != with_pull_request.revision(*MODEL)
    assert "model.safetensors" in hub.list_files("someone/model", commit)
    paths = hub.download("someone/model", commit, ["model.safetensors", "config.json"], "model", tmp_path / "out")
    assert paths["model.safetensors"].read_bytes() == WEIGHTS[::-1]
    assert not with_pull_request.asked("refs/pr"), "the hash alone is to do"


def test_a_commit_of_a_pull_request_is_verified_as_others_are(with_pull_request: HubServer, tmp_path: Path) -> None:
    commit = with_pull_request.revision(*MODEL, "refs/pr/1")
    with_pull_request.faults = [Fault("^/cdn/", method="GET", corrupt=True, times=2)]
    with pytest.raises(UserError, match=r"model\.safetensors differs from the hub's hash [0-9a-f]{64}, in a second"):
        hub.download("someone/model", commit, ["model.safetensors"], "model", tmp_path / "out")
    assert files_under(tmp_path / "out") == []


# Errors that pass


@pytest.mark.parametrize(
    "path, method, status",
    [
        ("^/api/models/", "GET", 500),
        ("^/api/models/", "GET", 429),
        ("/resolve/", "HEAD", 503),
        ("/resolve/", "HEAD", 429),
        ("^/cdn/", "GET", 502),
        ("^/cdn/", "GET", 429),
    ],
)
def test_server_errors_are_retried(
    path: str, method: str, status: int, serve: Serve, tmp_path: Path, waits: list[float]
) -> None:
    server = serve(Fault(path, times=2, method=method, status=status))
    fetch(server, "model.safetensors", to=tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS
    assert server.faults[0].times == 0
    assert waits, "a retry is to wait first"


def test_retries_are_logged_and_wait_longer_each_time(
    serve: Serve, tmp_path: Path, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(Fault("^/api/models/", times=3, status=500, body="out of order"))
    with caplog.at_level(logging.WARNING, logger="shallower"):
        fetch(server, "config.json", to=tmp_path)
    assert waits == [1, 2, 4]
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("shallower")]
    assert len(lines) == 3
    assert "someone/model: list of files: HTTP status 500 (out of order); next attempt in 1 s" in lines[0]


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"Retry-After": "7"}, 7),
        ({"RateLimit": '"api";r=0;t=40', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}, 41),
        ({"Retry-After": "86400"}, hub_requests.LONGEST_WAIT),
    ],
)
def test_the_wait_that_the_hub_asks_for_is_kept(
    headers: dict[str, str], seconds: int, serve: Serve, tmp_path: Path, waits: list[float]
) -> None:
    server = serve(Fault("^/api/models/", status=429, headers=headers))
    fetch(server, "config.json", to=tmp_path)
    assert waits == [seconds]


def test_a_slow_hub_is_asked_again(
    serve: Serve, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "ANSWER_TIMEOUT", 0.3)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    server = serve(Fault("^/api/models/", delay=2), Fault("^/cdn/", method="GET", delay=2))
    fetch(server, "model.safetensors", to=tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS
    assert len(server.asked("^/api/models/.*/revision/")) == 2
    assert len(server.asked("^/cdn/")) == 2


def test_a_broken_transfer_is_resumed(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    server = serve(Fault("^/cdn/", method="GET", cut_after=200_000, times=2))
    fetch(server, "model.safetensors", to=tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [request.headers.get("range") for request in server.asked("^/cdn/")]
    assert ranges == [None, "bytes=200000-", "bytes=400000-"]


def test_attempts_are_bounded(serve: Serve, tmp_path: Path, waits: list[float]) -> None:
    server = serve(Fault("^/api/models/", times=ALWAYS, status=503))
    with pytest.raises(UserError, match=r"someone/model: no success after 6 attempts \(HTTP status 503\)"):
        fetch(server, "config.json", to=tmp_path)
    assert len(server.asked("^/api/models/")) == len(hub_requests.WAITS) + 1
    assert waits == list(hub_requests.WAITS)


def test_a_hub_that_stops_answering_about_a_file(serve: Serve, tmp_path: Path) -> None:
    server = serve(Fault("/resolve/", times=ALWAYS, status=503))
    with pytest.raises(UserError, match=r"config\.json: no success .*HTTP status 503.*run again"):
        fetch(server, "config.json", to=tmp_path)
    assert len(server.asked("/resolve/")) < 10


def test_no_connection(serve: Serve, tmp_path: Path, waits: list[float]) -> None:
    server = serve()
    server.__exit__()
    with pytest.raises(UserError, match=rf"no success after 6 attempts \(ConnectError.*{server.url}"):
        fetch(server, "config.json", to=tmp_path)


def test_a_page_in_place_of_an_answer(serve: Serve, tmp_path: Path) -> None:
    server = serve(Fault("^/api/models/", status=200, body="<html>log in here</html>", times=ALWAYS))
    with pytest.raises(UserError, match="is not a Hugging Face hub endpoint; check HF_ENDPOINT"):
        fetch(server, "config.json", to=tmp_path)
    server = serve(Fault("/resolve/", status=200, body="<html>log in here</html>", times=ALWAYS))
    with pytest.raises(UserError, match="is not a Hugging Face hub endpoint; check HF_ENDPOINT"):
        fetch(server, "config.json", to=tmp_path)


def test_failures_of_the_xet_client_are_retried(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    """Xet's own protocol cannot be served here; its client raises such errors out of hf_hub_download."""
    server = serve()
    refused = RuntimeError("no answer from https://store/x?signature=secret")
    failures = [ConnectionResetError(104, "reset"), OSError("broken"), refused]
    genuine = huggingface_hub.hf_hub_download

    def failing(*arguments: str, **more: str) -> str:
        if failures:
            raise failures.pop()
        return genuine(*arguments, **more)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", failing)
    fetch(server, "config.json", to=tmp_path / "out")
    assert waits == [1, 2, 4]
    failures += [refused] * 6
    with pytest.raises(UserError, match=r"\(RuntimeError: no answer from …\).*HF_HUB_DISABLE_XET=1"):
        fetch(server, "model.safetensors", to=tmp_path / "out")


# Content that differs from its hash


@pytest.mark.parametrize(
    "name, path", [("model.safetensors", "^/cdn/"), ("config.json", "^/api/resolve-cache/.*config.json")]
)
def test_a_spoilt_download_is_fetched_again(
    name: str, path: str, serve: Serve, tmp_path: Path, folders: dict[tuple[str, str], Path]
) -> None:
    server = serve(Fault(path, method="GET", corrupt=True))
    fetch(server, name, to=tmp_path / "out")
    assert (tmp_path / "out" / name).read_bytes() == (folders[MODEL] / name).read_bytes()
    assert server.faults[0].times == 0


@pytest.mark.parametrize(
    "name, path", [("model.safetensors", "^/cdn/"), ("config.json", "^/api/resolve-cache/.*config.json")]
)
def test_a_download_spoilt_twice_is_refused_and_leaves_nothing(
    name: str, path: str, serve: Serve, tmp_path: Path
) -> None:
    server = serve(Fault(path, method="GET", corrupt=True, times=2))
    with pytest.raises(UserError, match=rf"{name} differs from the hub's hash [0-9a-f]+, in a second download"):
        fetch(server, name, to=tmp_path / "out")
    assert files_under(tmp_path / "out") == []
    assert [path for path in files_under(tmp_path / "cache") if "blobs" in path.parts] == []
    fetch(server, name, to=tmp_path / "out")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_spoilt_in_the_cache_is_fetched_again(name: str, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    first = fetch(server, name, to=tmp_path / "out")[name].read_bytes()
    (blob,) = [path for path in files_under(tmp_path / "cache") if path.parent.name == "blobs"]
    blob.chmod(0o644)
    blob.write_bytes(first[:-1] + b"?")
    assert fetch(server, name, to=tmp_path / "again")[name].read_bytes() == first


def test_a_cache_without_links_is_verified_too(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    server = serve(Fault("^/cdn/", method="GET", corrupt=True))
    fetch(server, "model.safetensors", to=tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == WEIGHTS


# Refusals


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1", "a" * 39, "A" * 40, ""])
def test_a_revision_that_can_move_is_refused(revision: str, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(UserError, match="not a commit hash of 40 hexadecimal digits"):
        hub.download("someone/model", revision, ["config.json"], "model", tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_names_that_leave_the_folder_are_refused(name: str, serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the name of a file"):
        fetch(serve(), name, to=tmp_path)


def test_an_unknown_repository(serve: Serve, tmp_path: Path, waits: list[float]) -> None:
    server = serve()
    with pytest.raises(UserError, match=r"model someone/nothing does not exist, or is private .*HF_TOKEN"):
        hub.download("someone/nothing", "0" * 40, ["config.json"], "model", tmp_path)
    assert waits == []
    with pytest.raises(UserError, match="not a repository's name"):
        hub.download("some one/nothing!", "0" * 40, ["config.json"], "model", tmp_path)
    with pytest.raises(UserError, match=f"dataset someone/nothing .*{server.url}/datasets/someone/nothing"):
        hub.download("someone/nothing", "0" * 40, ["config.json"], "dataset", tmp_path)


def test_an_unknown_commit(serve: Serve, tmp_path: Path) -> None:
    serve()
    with pytest.raises(UserError, match=f"someone/model has no commit {'0' * 40}; see .*/someone/model/commits"):
        hub.download("someone/model", "0" * 40, ["config.json"], "model", tmp_path)


def test_a_missing_file_is_named_with_those_that_are_there(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(UserError, match=r"no file tokenizer\.json at .*has: config\.json, model\.safetensors"):
        fetch(server, "tokenizer.json", "config.json", to=tmp_path / "out")
    with pytest.raises(UserError, match=r"no file mrpc/test\.parquet at .*: mrpc/train\.parquet, mrpc/val"):
        fetch(server, "mrpc/test.parquet", to=tmp_path / "out", repository=DATA)
    assert files_under(tmp_path / "out") == []


def test_a_gated_repository(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(token="hf_right")
    with pytest.raises(UserError, match=f"gated: accept its terms at {server.url}/someone/model and set HF_TOKEN"):
        fetch(server, "config.json", to=tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"gated: accept its terms at .* with the account of HF_TOKEN"):
        fetch(server, "config.json", to=tmp_path)
    monkeypatch.setenv("HF_TOKEN", " hf_right\n")
    fetch(server, "config.json", "model.safetensors", to=tmp_path)


@pytest.mark.parametrize(
    "fault, message",
    [
        (Fault("^/api/", status=401, headers=BAD_TOKEN),
         "refused with HTTP status 401 .*Invalid credentials.* check the token in HF_TOKEN"),
        (Fault("/resolve/", status=403), "refused with HTTP status 403; check the token"),
        (Fault("/resolve/", status=403, headers={"X-Error-Message": "Access to this resource is disabled."}),
         "disabled by the hub"),
        (Fault("/resolve/", status=403, headers=GATED), "is gated"),
        (Fault("/resolve/", status=404, headers={"X-Error-Code": "EntryNotFound"}), "no such file"),
    ],
)  # fmt: skip
def test_refusals_of_the_hub(
    fault: Fault,
    message: str,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> None:
    server = serve(fault)
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    with pytest.raises(UserError, match=message):
        fetch(server, "config.json", to=tmp_path)
    assert waits == []


def test_a_cache_that_cannot_be_written(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    server = serve()
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write to the cache .*cache \("):
        fetch(server, "config.json", to=tmp_path / "out")
    assert waits == []


# Tokens


def test_the_token_goes_to_the_hub_only_and_is_never_reported(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = serve(
        Fault("^/api/models/", status=500),
        Fault("^/cdn/", status=502),
        Fault("^/cdn/", cut_after=10),
        token="hf_secret",
    )
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with caplog.at_level(logging.DEBUG):
        fetch(server, "config.json", "model.safetensors", to=tmp_path)
    server.faults = [Fault("^/api/models/", status=400, times=ALWAYS)]
    with pytest.raises(UserError) as raised:
        fetch(server, "pytorch_model.bin", to=tmp_path)
    assert all("authorization" not in request.headers for request in server.asked("^/cdn/"))
    assert all(
        request.headers["authorization"] == "Bearer hf_secret" for request in server.asked("/resolve/|/revision/")
    )
    assert "hf_secret" not in caplog.text + "".join(capfd.readouterr()) + str(raised.value)


def test_a_token_on_disk_is_not_used(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    (tmp_path / "token").write_text("hf_from_disk")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    fetch(server, "config.json", to=tmp_path)
    assert server.requests
    assert all("authorization" not in request.headers for request in server.requests)


# Offline


def test_offline(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    fetch(server, "config.json", to=tmp_path / "out")
    server.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fetch(server, "config.json", to=tmp_path / "again")
    assert hub.list_files("someone/model", server.revision(*MODEL)) == ["config.json"]
    with pytest.raises(UserError, match=r"model\.safetensors of commit .* not in the cache .* HF_HUB_OFFLINE"):
        fetch(server, "config.json", "model.safetensors", to=tmp_path / "again")
    with pytest.raises(UserError, match="not in the cache"):
        hub.list_files("someone/data", server.revision(*DATA), "dataset")
    assert server.requests == []


def test_the_usual_environment_variables_count(serve: Serve, tmp_path: Path) -> None:
    """In a new process, where nothing is patched: endpoint, cache, offline switch."""
    server = serve()
    program = (
        "import sys; from shallower.sources.hub import download\n"
        f"download('someone/model', '{server.revision(*MODEL)}', ['model.safetensors'], 'model', sys.argv[1])"
    )

    def run(target: Path, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            **server.environment(tmp_path / "other"),
            "PYTHONPATH": str(ROOT / "workflow"),
        }
        command = [sys.executable, "-c", program, str(target)]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True)

    refused = run(tmp_path / "a", HF_HUB_OFFLINE="1")
    assert "UserError" in refused.stderr
    assert "HF_HUB_OFFLINE" in refused.stderr
    assert run(tmp_path / "a").returncode == 0
    assert list((tmp_path / "other").glob(f"models--*/blobs/{sha256_of(tmp_path / 'a' / 'model.safetensors')}"))
    assert run(tmp_path / "b", HF_HUB_OFFLINE="1").returncode == 0
    shutil.rmtree(tmp_path / "other")
    assert run(tmp_path / "c", TRANSFORMERS_OFFLINE="1").returncode == 1
