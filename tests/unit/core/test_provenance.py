"""Provenance: versions and the state of the code."""

import platform
import subprocess

import torch

from shallower.core.provenance import code_state, versions


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_versions():
    found = versions(["torch", "no-such-package-anywhere"])
    assert found == {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "no-such-package-anywhere": None,
    }


def test_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_state(tmp_path) == {"commit": None, "dirty": None}


def test_clean_and_dirty_checkouts(tmp_path):
    git(tmp_path, "init")
    assert code_state(tmp_path) == {"commit": None, "dirty": None}
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "first")
    state = code_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "results.txt").write_text("outputs do not make the code dirty")
    assert code_state(tmp_path)["dirty"] is False
    (tmp_path / "code.py").write_text("2")
    assert code_state(tmp_path) == {"commit": state["commit"], "dirty": True}


def test_what_is_left_out_may_differ(tmp_path):
    git(tmp_path, "init")
    for name in ("code.py", "recorded/table.csv", "results/example/report.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
        git(tmp_path, "add", name)
    git(tmp_path, "commit", "-m", "first")
    # A study that is run again where its results are published.
    (tmp_path / "results/example/report.html").write_text("2")
    assert code_state(tmp_path)["dirty"] is False
    (tmp_path / "recorded/table.csv").write_text("2")
    assert code_state(tmp_path)["dirty"] is True
    # Also of a folder within the checkout.
    for folder in (tmp_path, tmp_path / "recorded"):
        assert code_state(folder, leaving_out=["recorded"])["dirty"] is False
    (tmp_path / "code.py").write_text("2")
    assert code_state(tmp_path / "recorded", leaving_out=["recorded"])["dirty"] is True


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_state(tmp_path) == {"commit": None, "dirty": None}
