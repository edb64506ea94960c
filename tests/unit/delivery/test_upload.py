"""The real huggingface_hub uploads to a hub on this machine; what is listed first, and what goes wrong."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from hub_server import ALWAYS, Fault, HubServer
from hub_uploads import Uploaded
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.delivery.folder import make_folder
from shallower.delivery.upload import plan_upload, upload

ROOT = Path(__file__).parents[3]
TOKEN = "hf_secret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub with nothing on it, and the token of the user "me"."""
    with HubServer({}) as server:
        server.connect(monkeypatch, tmp_path / "cache")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "no-tokens"))
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def problem(folder: Path, repository: str = "me/minilm-mrpc") -> str:
    """The message of an upload that fails: one line without the token."""
    with pytest.raises(UserError) as failed:
        upload(plan_upload(folder, repository))
    message = str(failed.value)
    assert "\n" not in message and TOKEN not in message and "signature" not in message
    return message


def test_all_files_arrive_in_one_commit_of_a_private_repository(hub, delivered_folder):
    url = upload(plan_upload(delivered_folder, "me/minilm-mrpc"))
    found = hub.uploads.repositories["me/minilm-mrpc"]
    assert found.private and found.files == contents(delivered_folder)
    assert found.commits == ["minilm for mrpc, finetuned/greedy-score-2, seed 1"]
    assert url == f"{hub.url}/me/minilm-mrpc/commit/{'b' * 40}"
    # Weights went to the store of large files.
    assert len(hub.asked("/store/")) == 3


def test_an_upload_to_a_repository_of_before_replaces_its_forms(hub, delivered_folder, tmp_path, material):
    here = hub.uploads.repositories["me/minilm-mrpc"] = Uploaded(private=True)
    here.files = {
        "onnx/model-int8.onnx": b"of before",
        "onnx/model.onnx.data": b"too",
        "modules.json": b"[]",
        "manifest.json": b"{}",
        "config.json": b"{}",
        "notes.md": b"mine",
        "README.md": b"old",
    }
    delivered = replace(material.delivered, forms=material.delivered.forms[:1], recommended="torch")
    make_folder(tmp_path / "mrpc", delivered, material.run_dir, material.examples)
    upload(plan_upload(tmp_path / "mrpc", "me/minilm-mrpc"))
    assert here.files == {**contents(tmp_path / "mrpc"), "notes.md": b"mine"}


def test_a_model_of_somebody_else_is_not_replaced(hub, delivered_folder):
    here = hub.uploads.repositories["me/minilm-mrpc"] = Uploaded(private=True)
    before = {"config.json": b"{}", "model.safetensors": b"weights"}
    here.files = dict(before)
    assert "me/minilm-mrpc has another model (config.json, model.safetensors without" in problem(delivered_folder)
    assert here.files == before


def test_a_plan_lists_files_and_asks_nobody(hub, delivered_folder):
    planned = plan_upload(delivered_folder, "me/minilm-mrpc")
    lines = list(planned.lines())
    assert len(lines) == 9 + 2 and hub.requests == []
    size = (delivered_folder / "model.safetensors").stat().st_size
    assert any(re.fullmatch(rf"  model.safetensors +{size:,} bytes", line) for line in lines)
    assert lines[-1] == f"to {hub.url}/me/minilm-mrpc, a private repository, which is made if it is not there"


# --- what goes wrong ---


def test_without_a_token_nothing_is_asked(hub, delivered_folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert problem(delivered_folder).startswith("no token to upload with; log in with 'hf auth login'")
    assert hub.requests == []


def test_a_token_that_is_not_accepted(hub, delivered_folder):
    hub.uploads.token = "another"
    assert "the token is not accepted (Invalid user token.); log in" in problem(delivered_folder)


def test_a_token_without_the_right_to_write(hub, delivered_folder):
    assert "the token may not write there" in problem(delivered_folder, "you/minilm-mrpc")
    assert hub.uploads.repositories == {}


def test_nothing_goes_to_a_public_repository(hub, delivered_folder):
    hub.uploads.repositories["me/minilm-mrpc"] = Uploaded(private=False)
    assert "is public, and nothing was uploaded; make it private" in problem(delivered_folder)
    assert hub.uploads.repositories["me/minilm-mrpc"].files == {} and not hub.asked("/store/|/commit/|preupload")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault("/commit/main", ALWAYS, status=413, headers={"X-Error-Message": "too large"}),
            "the hub refuses (too large)",
        ),
        (Fault("/commit/main", ALWAYS, status=500), "the hub answered with status 500"),
        (
            Fault("/store/", ALWAYS, status=403, headers={"X-Error-Message": "expired"}),
            "the store of large files answered with status 403 (expired); run again",
        ),
        (Fault("/repos/create", ALWAYS, status=429), "the hub answered with status 429"),
    ],
    ids=["too large", "server error", "store", "rate limit"],
)
def test_what_the_hub_refuses_is_said(hub, delivered_folder, fault, message):
    hub.faults.append(fault)
    assert message in problem(delivered_folder)
    assert all(not repository.files for repository in hub.uploads.repositories.values())


def test_a_hub_that_cannot_be_reached(hub, delivered_folder, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the upload did not succeed" in problem(delivered_folder)
    assert "check the connection to http://127.0.0.1:9" in problem(delivered_folder)


def test_without_the_hub_on_purpose(hub, delivered_folder, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set; unset it" in problem(delivered_folder)


@pytest.mark.parametrize("repository", ["minilm", "me/../x", "me/a b", "", "me/x/y", "https://huggingface.co/me/x"])
def test_names_that_are_no_repository(repository, delivered_folder):
    with pytest.raises(UserError, match="REPOSITORY=owner/name"):
        plan_upload(delivered_folder, repository)


def test_a_folder_that_has_changed_is_not_uploaded(delivered_folder, tmp_path):
    folder = Path(shutil.copytree(delivered_folder, tmp_path / "mrpc"))
    (folder / "README.md").write_text("another card")
    with pytest.raises(UserError, match=r"README.md: damaged"):
        plan_upload(folder, "me/minilm-mrpc")


# --- the script ---


def script(hub: HubServer, folder: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(ROOT / "workflow"), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, ROOT / "workflow/scripts/upload_delivered.py", "--delivered-dir", folder, *arguments],
        env=os.environ | hub.environment(tmp_path / "cache") | own,
        capture_output=True,
        text=True,
    )


def test_the_script_uploads_only_when_asked_and_writes_no_token(hub, delivered_folder, tmp_path):
    root = delivered_folder.parents[1]
    listed = script(hub, root, tmp_path, "--repository", "me/minilm-mrpc")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.endswith("To upload, run the same command with UPLOAD=yes.\n") and hub.requests == []
    done = script(hub, root, tmp_path, "--repository", "me/minilm-mrpc", "--upload", "yes", "--name", "minilm/mrpc")
    assert done.returncode == 0, done.stderr
    assert "uploaded: http" in done.stdout
    assert hub.uploads.repositories["me/minilm-mrpc"].files == contents(delivered_folder)
    written = [path.read_bytes() for path in [*tmp_path.rglob("*"), *root.rglob("*")] if path.is_file()]
    assert not any(TOKEN.encode() in content for content in [*written, done.stdout.encode(), done.stderr.encode()])
    assert read_json(delivered_folder / "manifest.json")["seed"] == 1


def test_the_script_asks_which_of_several(delivered_folder, tmp_path, hub):
    for task in ("mrpc", "rte"):
        shutil.copytree(delivered_folder, tmp_path / "delivered" / "minilm" / task)
    done = script(hub, tmp_path / "delivered", tmp_path, "--repository", "me/x")
    assert done.returncode == 1
    assert "name one of them as DELIVERED=model/task: minilm/mrpc, minilm/rte" in done.stderr
