"""Tiny models and tasks for tests: real architectures and tokenizers, random weights, no network.

`make_model` writes a checkpoint folder as `save_pretrained` does, `make_task_files` writes two CSV files
whose labels can be learnt from the words. All texts are made of `WORDS`, each of which is one token for every
tiny tokenizer.
"""

import csv
import inspect
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tiny_decoders import DECODERS
from tiny_families import OTHERS, TINY, TinyFamily
from tiny_words import BAD_WORDS, COMMON_WORDS, GOOD_WORDS
from tiny_words import MAX_LENGTH as MAX_LENGTH
from tiny_words import WORDS as WORDS

# Architectures that the library supports, of decoders two: on the right and on the left is padding, of one kind and of
# two kinds are layers. ModernBERT, whose lowest layer stays, and Nomic's BERT have tests of their own
# (tests/unit/test_modernbert.py, test_nomic.py). The others are made of the same parts, and are tested in
# tests/unit/surgery/test_decoders.py.
WITH_OWN_TESTS = ("modernbert", "nomic_bert")
FAMILIES = tuple(
    name for name in TINY if name not in WITH_OWN_TESTS and (name not in DECODERS or name in ("gpt2", "gemma3_text"))
)


def families(*quick: str) -> list[Any]:
    """All of `FAMILIES` as parameters of a test that takes seconds; those not named only if asked for (-m slow)."""
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in FAMILIES]


# For `set_initializer_range`: logits overflow, and the first loss is not a number.
UNTRAINABLE = 1e38


def make_model(
    directory: str | Path,
    family: str,
    num_layers: int = 4,
    labels: int | None = None,
    regression: bool = False,
    seed: int = 0,
    max_shard_size: str | None = None,
    bare: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Save a tiny random model (hidden size 32, 4 heads) and its fast tokenizer; return the folder.

    With `labels` the checkpoint has a sequence classification head, with `regression` one of a single output.
    Otherwise it is a pre-training checkpoint (language-model head, tensor names with the base model's
    prefix) or, with `bare`, the base model alone, whose tensor names have no prefix. A small
    `max_shard_size` such as "20KB" splits the weights into several files. `settings` replace those of the
    configuration.
    """
    import torch
    import transformers

    directory = Path(directory)
    tokenizer = make_tokenizer(family)
    config = make_config(family, num_layers, tokenizer)
    if regression:
        config.num_labels, config.problem_type = 1, "regression"
    elif labels is not None:
        config.num_labels = labels
    config = type(config).from_dict(config.to_dict() | dict(settings or {}))

    if regression or labels is not None:
        model_class = transformers.AutoModelForSequenceClassification
    elif bare:
        model_class = transformers.AutoModel
    else:
        # Decoders' heads for pre-training are those that write texts.
        kind = "CausalLM" if family in DECODERS else "MaskedLM" if family in WITH_OWN_TESTS else "PreTraining"
        model_class = getattr(transformers, f"AutoModelFor{kind}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class.from_config(config)
        _randomise_vectors(model)
    model.save_pretrained(directory, **({"max_shard_size": max_shard_size} if max_shard_size else {}))
    tokenizer.save_pretrained(directory)
    return directory


def set_initializer_range(model: Path, value: float) -> None:
    """With a huge range of new weights, which are those of the head, a saved model can be computed but not trained."""
    config = model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"initializer_range": value}))


def _randomise_vectors(model: Any) -> None:
    """Move biases and layer norms away from 0 and 1, so that mixing them up shows in the output."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)


def make_config(family: str, num_layers: int, tokenizer: Any) -> Any:
    """The configuration of a tiny model of a family, fitting a tokenizer."""
    return _tiny_family(family).config(num_layers, tokenizer)


def make_tokenizer(family: str) -> Any:
    """A fast tokenizer of the class that transformers uses for the family; each of `WORDS` is one token."""
    return _tiny_family(family).tokenizer()


def layers_of(model: Any) -> Any:
    """The list of a loaded model's layers (a ModuleList of torch); None where they share one set of weights."""
    place = _tiny_family(model.config.model_type).layers
    return None if place is None else model.base_model.get_submodule(place)


def takes_token_types(model: Any) -> bool:
    """Whether a model of transformers has token types; GPT-2 would take some for words."""
    is_decoder = model.config.model_type in DECODERS
    return not is_decoder and "token_type_ids" in inspect.signature(type(model).forward).parameters


def place_read(family: str) -> int:
    """Where the head reads in a text without padding: the last token or the first."""
    return -1 if family == "xlnet" or family in DECODERS else 0


def states_of_layers(model: Any, inputs: Mapping[str, Any]) -> list[Any]:
    """The embeddings and what each layer of a model without a head gives, [B, L, hidden], as transformers has them.

    Decoders' last states are those behind a further norm; here they are those before it.
    """
    import torch

    last = []
    layers = layers_of(model) if model.config.model_type in DECODERS else None
    hook = layers and layers[-1].register_forward_hook(lambda _, inputs, output: last.append(output))
    with torch.no_grad():
        states = list(model(**inputs, output_hidden_states=True).hidden_states)
    if hook:
        hook.remove()
        states[-1] = last[0][0] if isinstance(last[0], tuple) else last[0]
    return states


def _tiny_family(family: str) -> TinyFamily:
    return (TINY | OTHERS)[family]


def make_task_files(
    directory: str | Path,
    rows_train: int,
    rows_validation: int,
    pair: bool = False,
    regression: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Write train.csv and validation.csv and return the task's definition, as a study holds it.

    Each text has a few good or bad words among neutral ones. The label is which of the two it has (names
    "bad" and "good"; both classes equally often) or, for regression, how many of its five telling words are
    good. With `pair` those words stand in the second text. No text occurs twice.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    columns = ["text_a", "text_b"] if pair else ["text"]
    rows = _task_rows(random.Random(seed), pair, regression)
    for split, count in (("train", rows_train), ("validation", rows_validation)):
        with (directory / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "label"])
            writer.writerows(next(rows) for _ in range(count))
    definition = {
        "name": "tiny",
        "source": "files",
        "train_file": str(directory / "train.csv"),
        "validation_file": str(directory / "validation.csv"),
        "text": columns,
        "label": "label",
    }
    if regression:
        return {**definition, "target": "regression", "metrics": ["pearson", "spearmanr"]}
    return {
        **definition,
        "target": "classification",
        "labels": ["bad", "good"],
        "metrics": ["accuracy", "f1"],
    }


def make_ranking_files(
    directory: str | Path, queries_train: int, queries_validation: int, texts: int = 4, highest: int = 1
) -> dict[str, Any]:
    """Write train.csv and validation.csv of a ranking, and return its definition, as a study holds it.

    Rows of a query do not follow each other. A query asks for good or bad words; texts that have just these have the
    relevance `highest`, with one telling word of the other kind 0. A grade between is that of a text with both.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    random_ = random.Random(0)
    for split, count in (("train", queries_train), ("validation", queries_validation)):
        rows = []
        for number in range(count):
            wanted, other = (GOOD_WORDS, BAD_WORDS) if number % 2 else (BAD_WORDS, GOOD_WORDS)
            query = f"{random_.choice(wanted)} {' '.join(random_.choices(COMMON_WORDS, k=3))} {split} {number}"
            for place in range(texts):
                grade = place % (highest + 1)
                telling = random_.choices(wanted, k=grade) + random_.choices(other, k=highest - grade)
                words = telling + random_.choices(COMMON_WORDS, k=5)
                random_.shuffle(words)
                rows.append([query, " ".join(words), grade])
        random_.shuffle(rows)
        with (directory / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["query", "text", "relevance"], *rows])
    return {
        "name": "tiny",
        "source": "files",
        "train_file": str(directory / "train.csv"),
        "validation_file": str(directory / "validation.csv"),
        "text": ["query", "text"],
        "label": "relevance",
        "target": "ranking",
        "metrics": ["ndcg_at_10", "mrr_at_10"],
    }


def make_unlabelled_file(directory: str | Path, rows: int, pair: bool = False, regression: bool = False) -> None:
    """Write unlabelled.csv: `rows` new texts, the first one again, and those of a training and a validation row."""
    directory = Path(directory)
    columns = ["text_a", "text_b"] if pair else ["text"]
    source = _task_rows(random.Random(1), pair, regression)
    texts = [next(source)[:-1] for _ in range(rows)]
    for split in ("train", "validation"):
        with (directory / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            texts.append(list(csv.reader(file))[1][:-1])
    with (directory / "unlabelled.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *texts[:rows], texts[0], *texts[rows:]])


def make_test_file(directory: str | Path, rows: int, pair: bool = False, regression: bool = False) -> None:
    """Write test.csv: `rows` new rows, and the first training row."""
    directory = Path(directory)
    with (directory / "train.csv").open(encoding="utf-8", newline="") as file:
        header, known, *_ = csv.reader(file)
    new = itertools.islice(_task_rows(random.Random(2), pair, regression), rows)
    with (directory / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *new, known])


def _task_rows(source: random.Random, pair: bool, regression: bool) -> Iterator[list[Any]]:
    seen = set()
    for index in itertools.count():
        good = source.randint(0, 5) if regression else 5 * (index % 2)
        while True:
            telling = source.choices(GOOD_WORDS, k=good) + source.choices(BAD_WORDS, k=5 - good)
            words = telling[: 5 if regression else 2] + source.choices(COMMON_WORDS, k=source.randint(3, 8))
            source.shuffle(words)
            text = " ".join(words) + " ."
            if text not in seen:
                break
        seen.add(text)
        texts = [" ".join(source.choices(COMMON_WORDS, k=source.randint(3, 6))), text] if pair else [text]
        yield [*texts, float(good) if regression else ("bad", "good")[good // 5]]
