"""Folders with a tiny model, the template of studies, and files of a user's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from shallower.proposals.choice import Asked
from shallower.proposals.propose import propose
from shallower.proposals.request import Request
from tiny import make_model

Propose = Callable[..., list[str]]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("proposed") / "bert", "bert")


@pytest.fixture
def workplace(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], Path]:
    """Write files (texts, bytes or tables) into an empty folder with a template, which is the working directory."""

    def make(files: Mapping[str, Any]) -> Path:
        template = {
            "study": "default",
            "models": [{"name": "tiny", "source": "local", "directory": str(tiny_bert)}],
            "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "max_length": 48},
            "refine": {"epochs": 1},
            "budget": {"score_kept": 90},
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(template))
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str | bytes):
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            else:
                pq.write_table(content, path)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


@pytest.fixture
def proposed(workplace: Callable[[Mapping[str, Any]], Path]) -> Propose:
    """What is said of a study for files, of which my.csv is the one to train on; options are those of a request."""

    def make(contents: Mapping[str, Any], **options: Any) -> list[str]:
        workplace(contents)
        asked = Asked(*(options.pop(key, None) for key in ("kind", "text", "label")))
        return propose(Request(**{"files": {"train": "my.csv"}, "asked": asked, **options}))

    return make
