"""A tiny study of sentence embeddings: a bare model with the files of sentence-transformers, pairs of texts."""

import json
from pathlib import Path
from typing import Any

import tiny

MODULES = ("Transformer", "Pooling", "Normalize")
FOLDERS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}


def make_embedding_model(
    directory: str | Path, family: str = "bert", pooling: str = "mean", normalize: bool = True, **options: Any
) -> Path:
    """`tiny.make_model` without a head, and the files that sentence-transformers writes; `options` are its own."""
    folder = tiny.make_model(directory, family, bare=True, **options)
    kinds = MODULES if normalize else MODULES[:2]
    modules = [
        {"idx": index, "name": str(index), "path": FOLDERS[kind], "type": f"sentence_transformers.models.{kind}"}
        for index, kind in enumerate(kinds)
    ]
    key = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}.get(pooling, pooling)
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32, f"pooling_mode_{key}": True})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "q: "}})
    return folder


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def as_embedding(study: dict[str, Any], folder: Path) -> None:
    """Make one of `project.tiny_study(pair=True, regression=True)` a study of embeddings, and make its model."""
    make_embedding_model(folder)
    study["tasks"][0] |= {
        "target": "embedding",
        "metrics": ["spearmanr", "pearson"],
        "similarity_range": [0, 5],
        "unlabelled_file": "data/unlabelled.csv",
        "unlabelled_text": "text_b",
    }
    study["train"]["epochs"] = 0
    study["origins"] = [
        {"name": "pretrained", "refine": {"epochs": 0}},
        {"name": "finetuned", "refine": {"epochs": 2, "distill": {}}},
    ]
