"""Sentences of tagged words for tests: entities that can be learnt from the words."""

import random
from pathlib import Path
from typing import Any

import tiny

TAGS = ["O", "B-good", "I-good", "B-bad", "I-bad"]


def make_sentences(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Words of `tiny` with tags in IOB2: good and bad words are entities, which go on over words of their kind."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words = [
            draw.choice(draw.choice([tiny.GOOD_WORDS, tiny.BAD_WORDS, tiny.COMMON_WORDS]))
            for _ in range(draw.randint(3, 12))
        ]
        tags, before = [], None
        for word in words:
            kind = "good" if word in tiny.GOOD_WORDS else "bad" if word in tiny.BAD_WORDS else None
            tags.append("O" if kind is None else f"{'I' if kind == before else 'B'}-{kind}")
            before = kind
        found.append((words, tags))
    return found


def write_conll(path: Path, sentences: list[tuple[list[str], list[str]]], separator: str = "\t") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        "".join(f"{word}{separator}{tag}\n" for word, tag in zip(*each, strict=True)) for each in sentences
    )
    path.write_text(text, encoding="utf-8")


def make_task_files(folder: Path, train: int = 80, validation: int = 30) -> dict[str, Any]:
    """The entry of a task of tokens in a study, with its files."""
    for split, count, seed in (("train", train, 1), ("validation", validation, 2)):
        write_conll(folder / f"{split}.conll", make_sentences(count, seed))
    return {
        "name": "entities",
        "source": "files",
        "train_file": str(folder / "train.conll"),
        "validation_file": str(folder / "validation.conll"),
        "text": ["word"],
        "label": "tag",
        "target": "tokens",
        "labels": TAGS,
        "metrics": ["entity_f1", "token_accuracy"],
    }
