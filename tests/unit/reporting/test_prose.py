"""Explanations are written once: captions and the README say them word for word."""

import re
from pathlib import Path

import pytest

from shallower.reporting import prose

ROOT = Path(__file__).resolve().parents[3]
SHARED = {
    "answer.rst": ["ROBUST"],
    "droppable.rst": ["ROBUST", "HELD_OUT"],
    "summary.rst": ["KEPT"],
    "workflow.rst": [
        *("KEPT", "INTERVAL", "NO_SEED_VARIANCE", "COLLAPSED", "NEVER_CHOSEN", "LAYERS", "SELECTION_BIAS"),
        *("STORED_PREDICTIONS", "MEASURED"),
    ],
    "README.md": ["SELECTION_BIAS"],
}


def plain(path: str) -> str:
    """The words of a caption or of the README on one line, without its markup."""
    file = ROOT / path if path == "README.md" else ROOT / "workflow/report" / path
    return " ".join(re.sub(r"[*`]", "", file.read_text(encoding="utf-8")).split())


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in SHARED.items() for name in names])
def test_shared_sentences_are_the_same_everywhere(path: str, name: str):
    assert getattr(prose, name) in plain(path)


def test_every_shared_sentence_is_used():
    templates = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/templates").glob("*.jinja"))
    assert {name for name in vars(prose) if name.isupper()} == set(re.findall(r"prose\.([A-Z_]+)", templates))
