"""parity.json: a few texts with the logits that each form of a delivered model has to give for them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import read_json
from shallower.core.model_classes import model_class_of
from shallower.core.rounding import fp32_tolerance
from shallower.core.variants import INT8
from shallower.delivery import answering
from shallower.delivery.description import RUNTIMES, Inputs
from shallower.models.folder import CONFIG
from shallower.models.sentence_embedding import SentenceEmbedding

PARITY = "parity.json"
# Texts that are stored.
EXAMPLES = 8
# How many times as far as in fp32 a logit in int8 may be off the stored one. Both fp32 forms are compared with the
# logits of PyTorch; int8 with its own, since its instructions differ between processors, in whether intermediate sums
# are cut off for one.
INT8_TOLERANCES = 1000


@dataclass(frozen=True)
class Examples:
    """Texts [n], of one or two parts each, and the logits [n, outputs] of the model in PyTorch, fp32.

    Of a model that answers each word logits are those of all words [words, outputs], and words are what stands between
    the blanks of a text; where texts are only beginnings (`of_parts`), these are logits within the longer text. Of a
    model that answers with vectors texts are those of pairs, two by two, and `logits` the cosines [pairs, 1] that its
    scores are of.
    """

    texts: Sequence[Sequence[str]]
    logits: NDArray[Any]
    of_words: bool = False
    of_pairs: bool = False
    of_parts: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for logits that are not of these texts, or not finite."""
        rows = sum(len(text.split(" ")) for (text,) in self.texts) if self.of_words else len(self.texts)
        rows = rows // 2 if self.of_pairs else rows
        if self.logits.ndim != 2 or len(self.logits) != rows or not len(self.texts):
            raise ValueError(f"logits {self.logits.shape} of {len(self.texts)} texts")
        if not np.isfinite(self.logits).all():
            raise ValueError("a logit is not a finite number")


@dataclass(frozen=True)
class Answer:
    """Logits [n, outputs] of one form, and the versions of the packages that computed them."""

    logits: NDArray[Any]
    versions: Mapping[str, str]


def choose_examples(texts: Sequence[Sequence[str]], logits: NDArray[Any], number: int = EXAMPLES) -> Examples:
    """Some of the validation texts, in their order: the same ones for the same input.

    The longest and the shortest, and the surest of each output in turn; then the first ones.
    """
    lengths = [sum(map(len, parts)) for parts in texts]
    chosen = dict.fromkeys([int(np.argmax(lengths)), int(np.argmin(lengths))])
    chosen |= dict.fromkeys(int(column.argmax()) for column in logits.T[: number - len(chosen)])
    chosen |= dict.fromkeys(range(len(texts)))
    rows = sorted(list(chosen)[:number])
    return Examples([list(texts[row]) for row in rows], np.asarray(logits)[rows])


def choose_pairs(texts: Sequence[Sequence[str]], cosines: NDArray[Any], number: int = EXAMPLES) -> Examples:
    """Some of the validation pairs, as `choose_examples` has them, each of whose texts is an input of its own.

    Blanks around texts are removed, as sentence-transformers does.
    """
    chosen = choose_examples(texts, cosines, number)
    return Examples([[text.strip()] for pair in chosen.texts for text in pair], chosen.logits, of_pairs=True)


def choose_sentences(
    words: Sequence[Sequence[str]], logits: Sequence[NDArray[Any]], number: int = EXAMPLES, of_parts: bool = False
) -> Examples:
    """Some of the sentences whose words have no blanks, each with the logits [words, outputs] of its words.

    The longest and the shortest, and the first ones. Raises UserError when there are none.
    """
    usable = [place for place, each in enumerate(words) if each and all(word.split() == [word] for word in each)]
    if not usable:
        raise UserError(
            "no validation sentence suits parity.json: all have words with blanks in them, or with no token"
        )
    by_length = sorted(usable, key=lambda place: len(words[place]))
    chosen = sorted([*dict.fromkeys([by_length[-1], by_length[0], *usable])][:number])
    texts = [[" ".join(words[place])] for place in chosen]
    return Examples(texts, np.concatenate([logits[place] for place in chosen]), of_words=True, of_parts=of_parts)


def parity_record(examples: Examples, inputs: Inputs) -> dict[str, Any]:
    """The content of parity.json without vectors, and without answers of the int8 form, which are the form's own."""
    tolerance = fp32_tolerance(examples.logits)
    return {
        "texts": [list(parts) for parts in examples.texts],
        "inputs": asdict(inputs),
        "logits": {} if examples.of_pairs or examples.of_parts else {"fp32": in_digits(examples.logits)},
        "tolerances": {"fp32": tolerance, "int8": INT8_TOLERANCES * tolerance},
    }


def with_vectors(record: Mapping[str, Any], vectors: NDArray[Any]) -> dict[str, Any]:
    """The record of a model that answers with vectors. Tolerances are shares of their largest number."""
    largest = float(np.abs(vectors).max())
    tolerances = {key: value * largest for key, value in record["tolerances"].items()}
    return {**record, "logits": {"fp32": in_digits(vectors)}, "tolerances": tolerances}


def in_digits(logits: NDArray[Any]) -> list[list[float]]:
    """Numbers in decimal digits that fp32 numbers are exactly restored from."""
    return [[float(f"{value:.9g}") for value in row] for row in logits]


def cosines(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Cosines [n] of vectors [2 * n, size], two by two."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit[::2] * unit[1::2]).sum(axis=1)


def precision(runtime: str) -> str:
    """Whose logits those of a runtime are compared with: a key of `logits` and `tolerances`."""
    return "int8" if runtime == INT8 else "fp32"


def read_parity(folder: Path) -> dict[str, Any]:
    """parity.json of a delivered folder. Raises UserError when it is not one."""
    path = folder / PARITY
    record = read_json(path)
    if not isinstance(record, dict) or not {"texts", "inputs", "logits", "tolerances"} <= set(record):
        raise corrupt_file_error(path, "not the texts and logits of a delivered model")
    return record


def answer(folder: Path, runtime: str, record: Mapping[str, Any], python: str | Path = sys.executable) -> Answer:
    """The logits that a form gives for the texts of a parity record, in a new process of its own packages.

    fp32 forms answer all texts at once, so that padding is tested; int8 one by one, since its scales are those of all
    that is computed at once. Raises UserError, with the last line of the process's errors, when it fails.
    """
    config = read_json(folder / CONFIG)
    embedding = SentenceEmbedding.of(config)
    question = {
        "texts": record["texts"],
        "batch_size": 1 if runtime == INT8 else len(record["texts"]),
        "model": RUNTIMES[runtime].model,
        "model_class": model_class_of(config),
        "embedding": embedding and {"pooling": embedding.pooling, "normalize": embedding.normalize},
        **record["inputs"],
    }
    done = subprocess.run(
        [python, "-I", answering.__file__, runtime, str(folder.resolve())],
        input=json.dumps(question),
        env=_environment(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"{RUNTIMES[runtime].model}: the form {runtime} does not answer ({lines[-1]})")
    found = json.loads(done.stdout)
    return Answer(np.array(found["logits"], np.float64), found["versions"])


def _environment() -> dict[str, str]:
    """That of this process, offline and without tokens."""
    kept = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
    return kept | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}


def difference(found: NDArray[Any], stored: Sequence[Sequence[float]]) -> float:
    """The largest difference of a logit; infinity for other numbers of texts or outputs, and for NaN."""
    expected = np.array(stored, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max())
