"""Malformed studies, data files and checkpoints, each with the words that its error message must hold.

A case changes a folder with a sound tiny study: config.yaml, data/train.csv, data/validation.csv, models/bert; of
data/unlabelled.csv and data/test.csv the study says nothing. The words are those of the culprit (file, key or row) and
of the remedy.
`PLANNED` are reported before any job runs, `FETCHED` by the step that fetches the model.
"""

import gzip
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import tagged_words
import tiny
from bad_files import PROPOSED
from collection_files import make_collection
from project import tiny_study
from tiny_embedding import as_embedding

Study = dict[str, Any]
Tensors = dict[str, Any]
Spoil = Callable[[Path, Study], Any]


@dataclass(frozen=True)
class Case:
    """One mistake. `spoil` changes the folder and the study, or returns what config.yaml holds instead."""

    name: str
    spoil: Spoil
    message_parts: tuple[str, ...]


def make_base(folder: Path) -> Study:
    """Write the data and the model of the sound study into a folder, and return the study."""
    return tiny_study(folder)


# --- how to spoil --------------------------------------------------------------------------------------------------


def setting(path: str, value: Any) -> Spoil:
    """Set a key, such as "train.epochs" or "tasks.0.name"."""

    def spoil(_: Path, study: Study) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        node: Any = study
        for part in parents:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        node[last] = value

    return spoil


def delivering(budget: dict[str, Any] | None = None, **deliver: Any) -> Spoil:
    """Models to deliver, within a budget."""
    return both(setting("budget", budget or {"layers": 3}), setting("deliver", deliver))


def without(key: str) -> Spoil:
    return lambda _, study: study.pop(key) and None


def file_text(text: str | bytes) -> Spoil:
    """The whole study file."""
    return lambda *_: text


def content(name: str, data: str | bytes) -> Spoil:
    """The content of a file."""

    def spoil(folder: Path, _: Study) -> None:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))

    return spoil


def data(name: str, text: str | bytes) -> Spoil:
    """Training data of another name (and kind) in place of train.csv."""
    return both(content(f"data/{name}", text), setting("tasks.0.train_file", f"data/{name}"))


def rows(text: str) -> Spoil:
    """train.csv with these rows after two sound ones."""
    return content("data/train.csv", f"text,label\na good day,good\na bad day,bad\n{text}")


def ids(text: str) -> Spoil:
    """Both files with ids for labels; train.csv with these rows after two sound ones."""
    sound = "text,label\na good day,1\na bad day,0\n"
    return both(content("data/train.csv", sound + text), content("data/validation.csv", sound))


def parquet(**columns: Any) -> Spoil:
    def spoil(folder: Path, study: Study) -> None:
        pq.write_table(pa.table(columns), folder / "data/train.parquet")
        study["tasks"][0]["train_file"] = "data/train.parquet"

    return spoil


def unlabelled(text: str | bytes | None = None, name: str = "unlabelled.csv") -> Spoil:
    """A teacher, and texts without labels for it; their file where it has other content."""
    asked = both(setting("refine.distill", {}), setting("tasks.0.unlabelled_file", f"data/{name}"))
    return asked if text is None else both(asked, content(f"data/{name}", text))


def tested(text: str | bytes | None = None, name: str = "test.csv") -> Spoil:
    """Test examples; their file where it has other content."""
    asked = setting("tasks.0.test_file", f"data/{name}")
    return asked if text is None else both(asked, content(f"data/{name}", text))


def glue_test(subset: str, split: str) -> Spoil:
    """A task of GLUE that is to be tested on a split."""
    return setting("tasks.0", {"name": "tiny", "source": "glue", "subset": subset, "test_split": split})


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path, study: Study) -> None:
        for each in spoils:
            each(folder, study)

    return spoil


def json_file(name: str, **changes: Any) -> Spoil:
    """Keys of a JSON file of the model; Ellipsis takes a key out."""

    def spoil(folder: Path, _: Study) -> None:
        path = folder / "models/bert" / name
        merged = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in merged.items() if value is not ...}))

    return spoil


config_json = lambda **changes: json_file("config.json", **changes)  # noqa: E731


def weights(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Another set of tensors in model.safetensors."""

    def spoil(folder: Path, _: Study) -> None:
        from safetensors.numpy import load_file, save_file

        path = folder / "models/bert/model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    return spoil


def weight_bytes(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(folder: Path, _: Study) -> None:
        path = folder / "models/bert/model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def drop_tensors(part: str) -> Spoil:
    def change(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if part in name]:
            del tensors[name]

    return weights(change)


def sharded(change: Callable[[Path], Any]) -> Spoil:
    """The model with its weights in several files, changed."""

    def spoil(folder: Path, _: Study) -> None:
        shutil.rmtree(folder / "models/bert")
        tiny.make_model(folder / "models/bert", "bert", max_shard_size="20KB")
        change(folder / "models/bert")

    return spoil


def index_of(change: Callable[[dict[str, str]], Any]) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        path = model / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        change(index["weight_map"])
        path.write_text(json.dumps(index))

    return spoil


def instead_of_weights(name: str) -> Spoil:
    def spoil(folder: Path, _: Study) -> None:
        (folder / "models/bert/model.safetensors").unlink()
        (folder / "models/bert" / name).write_bytes(payload(folder))

    return spoil


class _Payload:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def payload(folder: Path) -> bytes:
    """A pickle that makes a folder `pwned` when it is read."""
    return pickle.dumps(_Payload(str(folder / "pwned")))


def deleted(name: str) -> Spoil:
    return lambda folder, _: (folder / name).unlink()


def as_folder(name: str) -> Spoil:
    def spoil(folder: Path, _: Study) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def as_saved(name: str, file: str = "dataset_info.json") -> Spoil:
    """Training data as datasets' save_to_disk leaves it."""

    def spoil(folder: Path, study: Study) -> None:
        (folder / name).mkdir()
        (folder / name / file).write_text("{}")
        study["tasks"][0]["train_file"] = name

    return spoil


TWO_VERSIONS = ("0-of-00001", "0-of-00002", "1-of-00002")


def glue_layout(*files: str) -> Spoil:
    """A GLUE task from a folder with these files."""

    def spoil(folder: Path, study: Study) -> None:
        for file in files:
            (folder / "glue" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "glue" / file).write_text("sentence\tlabel\nnice\t1\nbad\t0\n")
        study["glue_directory"] = "glue"
        study["tasks"] = [{"name": "tiny", "source": "glue", "subset": "sst2"}]

    return spoil


def symlink_loop(folder: Path, _: Study) -> None:
    (folder / "data/train.csv").unlink()
    (folder / "data/train.csv").symlink_to("train.csv")


def zipped(folder: Path, _: Study) -> None:
    text = (folder / "data/train.csv").read_bytes()
    with zipfile.ZipFile(folder / "data/train.csv", "w") as archive:
        archive.writestr("train.csv", text)


def parquet_with_two_of_a_name(folder: Path, study: Study) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["good"])], names=["text", "text", "label"])
    pq.write_table(table, folder / "data/train.parquet")
    study["tasks"][0]["train_file"] = "data/train.parquet"


def cut_parquet(folder: Path, study: Study) -> None:
    parquet(text=["a good day", "a bad day"], label=["good", "bad"])(folder, study)
    path = folder / "data/train.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def multi_label(*spoils: Spoil, train: str = "text,label\na,good|bad\nb,bad\nc,[]\n") -> Spoil:
    """A study of texts that may have several labels, with these training data."""
    changes = {"target": "multi-label", "metrics": ["micro_f1"]}
    data = content("data/train.csv", train), content("data/validation.csv", "text,label\na,good|bad\nb,good\n")
    return both(*(setting(f"tasks.0.{key}", value) for key, value in changes.items()), *data, *spoils)


def without_of_task(key: str) -> Spoil:
    return lambda _, study: study["tasks"][0].pop(key) and None


def regression(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path, study: Study) -> None:
        tiny.make_task_files(folder / "data", rows_train=64, rows_validation=32, regression=True)
        task = study["tasks"][0]
        del task["labels"]
        task |= {"target": "regression", "metrics": ["pearson"]}
        both(*spoils)(folder, study)

    return spoil


def tagged(text: str | None = None, name: str = "words.conll", **task: Any) -> Spoil:
    """A task of tagged words; its training file where it has other content, and keys of the task."""

    def spoil(folder: Path, study: Study) -> None:
        own = tagged_words.make_task_files(folder / "data", 24, 6)
        files = {f"{split}_file": f"data/{split}.conll" for split in ("train", "validation")}
        study["tasks"][0] = own | {"name": study["tasks"][0]["name"]} | files | task
        if text is not None:
            (folder / "data" / name).write_text(text, encoding="utf-8")
            study["tasks"][0]["train_file"] = f"data/{name}"

    return spoil


def decoder(folder: Path, study: Study) -> None:
    """A decoder for the study's model."""
    shutil.rmtree(folder / "models/bert")
    tiny.make_model(folder / "models/bert", "gpt2")


def embedding(*spoils: Spoil) -> Spoil:
    """A sound study of sentence embeddings, changed."""

    def spoil(folder: Path, study: Study) -> None:
        shutil.rmtree(folder / "models/bert")
        tiny.make_task_files(folder / "data", rows_train=64, rows_validation=32, pair=True, regression=True)
        tiny.make_unlabelled_file(folder / "data", rows=24, pair=True, regression=True)
        del study["tasks"][0]["labels"]
        study["tasks"][0]["text"] = ["text_a", "text_b"]
        as_embedding(study, folder / "models/bert")
        both(*spoils)(folder, study)

    return spoil


def collection(*spoils: Spoil) -> Spoil:
    """A sound study of sentence embeddings that are scored on a test collection, changed."""

    def spoil(folder: Path, study: Study) -> None:
        texts = {key: study["tasks"][0][key] for key in ("unlabelled_file", "unlabelled_text")}
        names = {f"{part}_file": f"data/{part}" for part in ("queries", "corpus")}
        task = make_collection(folder / "data") | texts | {"qrels_file": "data/qrels.tsv"}
        study["tasks"] = [task | {key: f"{name}.jsonl" for key, name in names.items()}]
        both(*spoils)(folder, study)

    return embedding(spoil)


def ranking(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path, study: Study) -> None:
        task = study["tasks"][0]
        del task["labels"]
        task |= tiny.make_ranking_files(folder / "data", 8, 4) | {
            f"{split}_file": f"data/{split}.csv" for split in ("train", "validation")
        }
        both(*spoils)(folder, study)

    return spoil


def module_file(name: str, content: Any) -> Spoil:
    """Another content of a JSON file of sentence-transformers."""

    def spoil(folder: Path, _: Study) -> None:
        (folder / "models/bert" / name).write_text(json.dumps(content), encoding="utf-8")

    return spoil


def modules(*kinds: str, package: str = "sentence_transformers.models") -> Spoil:
    """Other modules of sentence-transformers, each in a folder that is named after it but for the first."""
    listed = [{"type": f"{package}.{kind}", "path": kind if place else ""} for place, kind in enumerate(kinds)]
    return module_file("modules.json", listed)


def on_hub(**task: Any) -> Spoil:
    def spoil(_: Path, study: Study) -> None:
        study["tasks"][0] |= {"source": "hub", "repository": "someone/data", "revision": "0" * 40, **task}

    return spoil


def in_package(**task: Any) -> Spoil:
    """The task comes from a file inside a package; nothing of it is downloaded before a job runs."""

    def spoil(_: Path, study: Study) -> None:
        for split in ("train", "validation"):
            del study["tasks"][0][f"{split}_file"]
        study["tasks"][0] |= {"source": "package", "package": "some-data", "version": "1.0", "sha256": "0" * 64}
        study["tasks"][0] |= {"path": "some_data-1.0/data.tsv", "validation_examples": 10, **task}

    return spoil


def package(path: str, **more: Any) -> Spoil:
    entry = {"name": "m", "source": "package", "package": "safetensors", "version": "0", "path": path, **more}
    return setting("models.0", entry)


def on_hub_model(**more: Any) -> Spoil:
    entry = {"name": "m", "source": "hub", "repository": "someone/model", "revision": "0" * 40, **more}
    return setting("models.0", entry)


def amounts(name: str, *values: Any) -> Spoil:
    return setting("strategies.0", {"name": name, "amounts": list(values)})


def shared_layers(*spoils: Spoil) -> Spoil:
    """The model is one whose layers all are one set of weights."""

    def spoil(folder: Path, study: Study) -> None:
        tiny.make_model(folder / "models/albert", "albert")
        study["models"][0] |= {"name": "albert", "directory": "models/albert"}
        both(*spoils)(folder, study)

    return spoil


EVERY_THREE = ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3])


def judged(*subsets: list[int]) -> Spoil:
    """Strategies are judged by refining these subsets of layers."""
    return both(setting("calibration", {"examples": 16}), setting("oracle", True), amounts("keep", *map(list, subsets)))


def second(axis: str, **changes: Any) -> Spoil:
    return lambda _, study: study[axis].append(study[axis][0] | changes)


# --- reported before any job runs ------------------------------------------------------------------------------------

STUDY_FILE = [
    Case("empty file", file_text(""), ("config.yaml: the file is empty", "write a study")),
    Case("comments only", file_text("# nothing\n"), ("config.yaml: the file is empty",)),
    Case("a list", file_text("- study\n- models\n"), ("config.yaml: does not hold keys and values",)),
    Case("a word", file_text("study\n"), ("config.yaml: does not hold keys and values",)),
    Case("broken YAML", file_text("study: tiny\nmodels: [\nseeds: [1]\n"), ("config.yaml: line ", "not YAML")),
    Case("tabs", file_text("study: tiny\ntrain:\n\tepochs: 1\n"), ("config.yaml: line 3, column 1", "\\t")),
    Case("two documents", file_text("study: a\n---\nstudy: b\n"), ("config.yaml: line 2", "another document")),
    Case("repeated key", file_text("study: a\nseeds: [1]\nseeds: [2]\n"), ("line 3: the key 'seeds' is in line 2",)),
    Case("repeated key in JSON", file_text('{"study": "a", "study": "b"}'), ("'study' is there twice",)),
    Case("unknown alias", file_text("study: *name\n"), ("line 1", "undefined alias")),
    Case("alias within itself", file_text("study: &a [*a]\n"), ("nested too deeply", "check the aliases")),
    Case(
        "aliases that grow",
        file_text(
            "a: &a [1]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))
        ),
        ("too large to be a study",),
    ),
    Case("deep nesting", file_text("study: " + "[" * 3000 + "]" * 3000), ("config.yaml: nested too deeply",)),
    Case("Python object", file_text("study: !!python/tuple [1]\n"), ("line 1: Python objects are not read",)),
    Case("code in the file", file_text("__use_yte__: true\nstudy: a\n"), ("__use_yte__ would run code", "remove it")),
    Case("not UTF-8", file_text(b"study: caf\xe9\n"), ("config.yaml: line 1 is not UTF-8; convert",)),
    Case("no such day", file_text("study: 2026-13-45\n"), ("line 1: '2026-13-45' cannot be read",)),
    Case("endless number", file_text(f"seeds: [{'9' * 5000}]\n"), ("line 1: '999", "cannot be read", "correct it")),
    Case("unknown tag", file_text("study: !shell ls\n"), ("line 1: 'ls' cannot be read", "!shell")),
    Case("control character", file_text("study: a\x01b\n"), ("config.yaml: not YAML", "#x0001")),
]

BY_CONTRIBUTION = {"name": "contribution-rank", "amounts": [1]}

STUDY = [
    Case("unknown key", setting("sedes", [1]), ("unknown key 'sedes'; did you mean 'seeds'?",)),
    Case(
        "the former name of a key", setting("kept_weights", "bf16"), ("unknown key 'kept_weights'; did you mean 'prun",)
    ),
    Case("missing key", without("seeds"), ("missing 'seeds'; add it",)),
    Case("no models", setting("models", []), ("models: [] is empty or too short",)),
    Case("null list", setting("seeds", None), ("seeds: None is not a list; write a value",)),
    Case("null entry", setting("models", [None]), ("models[0]: None is not a mapping",)),
    Case("null settings", setting("train", None), ("train: None is not a mapping", "remove the key")),
    Case("a mapping for a list", setting("models", {"bert": {}}), ("models: {'bert': {}} is not a list",)),
    Case("text for a number", setting("train.learning_rate", "2e-5"), ("write 2.0e-05 without quotes",)),
    Case("quoted number", setting("train.epochs", "3"), ("train.epochs: '3' is not a whole number", "write 3")),
    Case("NaN", setting("train.learning_rate", float("nan")), ("train.learning_rate: nan", "write a finite number")),
    Case("infinity", setting("train.max_grad_norm", float("inf")), ("train.max_grad_norm: inf", "finite number")),
    Case("NaN as an amount", amounts("contribution", float("nan")), ("amounts[0]: nan",)),
    Case("NaN as a tolerance", setting("report.tolerances", [float("nan")]), ("report.tolerances[0]: nan",)),
    Case("negative number", setting("train.weight_decay", -0.1), ("train.weight_decay: -0.1 is less than",)),
    Case("zero", setting("train.batch_size", 0), ("train.batch_size: 0 is less than the minimum of 1",)),
    Case("huge number", setting("train.batch_size", 10**30), ("train.batch_size: 1", "greater than the maximum")),
    Case("endless number of epochs", setting("train.epochs", 10**400), ("train.epochs: 1", "write a finite number")),
    Case(
        "no epochs",
        setting("train.epochs", 0),
        ("train.epochs: 0 leaves the full model untrained, which task tiny (classification) needs; write at least 1",),
    ),
    Case(
        "runs that are never trained",
        both(setting("origins", [{"name": "pretrained"}]), setting("refine", {"epochs": 0})),
        ("refine.epochs: 0 leaves the runs of origin pretrained", "untrained; write at least 1"),
    ),
    Case(
        "runs of a task that are never trained",
        both(setting("origins", [{"name": "pretrained"}]), setting("tasks.0.refine", {"epochs": 0})),
        ("tasks[0] (tiny).refine.epochs: 0 leaves the runs of origin pretrained", "untrained; write at least 1"),
    ),
    Case(
        "number of epochs of the shorter training alone",
        setting("origins", [{"name": "pretrained", "refine": {"epochs": 1}}, {"name": "pretrained-longer"}]),
        (
            "origins[0] (pretrained).refine.epochs: pretrained-longer trains for 2 times as many epochs as pretrained",
            "remove the key, and write epochs in refine of the study or of a task",
        ),
    ),
    Case(
        "number of epochs of the longer training alone",
        setting("origins", [{"name": "pretrained"}, {"name": "pretrained-longer", "refine": {"epochs": 4}}]),
        ("origins[1] (pretrained-longer).refine.epochs: pretrained-longer trains for 2 times as many epochs",),
    ),
    Case(
        "a teacher of runs that are not refined",
        both(setting("refine", {"distill": {}}), setting("origins.0.refine", {"epochs": 0})),
        ("refine.distill: nothing is trained with refine.epochs 0", "remove distill"),
    ),
    Case(
        "a teacher that nobody listens to",
        setting("refine", {"distill": {"weight": 0}}),
        ("refine.distill.weight: 0 is too small; write a number above 0",),
    ),
    Case(
        "a temperature that sharpens",
        setting("refine", {"distill": {"temperature": 0.5}}),
        ("refine.distill.temperature: 0.5 is less than the minimum of 1",),
    ),
    Case(
        "an unknown setting of a teacher",
        setting("refine", {"distill": {"wieght": 0.5}}),
        ("refine.distill: unknown key 'wieght'", "did you mean 'weight'?"),
    ),
    Case(
        "a negative weight of a teacher's vectors",
        setting("refine", {"distill": {"vectors": -1}}),
        ("refine.distill.vectors: -1 is less than the minimum of 0",),
    ),
    Case(
        "texts made for a teacher, nobody knows how many",
        setting("refine", {"distill": {"augment": {}}}),
        ("refine.distill.augment: missing 'copies'",),
    ),
    Case(
        "texts made for a teacher: no copies",
        setting("refine", {"distill": {"augment": {"copies": 0}}}),
        ("refine.distill.augment.copies: 0 is less than the minimum of 1",),
    ),
    Case(
        "an unknown key of texts that are made",
        setting("refine", {"distill": {"augment": {"copies": 2, "masks": 0.2}}}),
        ("refine.distill.augment: unknown key 'masks'; did you mean 'mask'?",),
    ),
    Case(
        "texts made for a teacher: every token masked",
        setting("refine", {"distill": {"augment": {"copies": 2, "mask": 1}}}),
        ("refine.distill.augment.mask: 1 is too large; write a number below 1",),
    ),
    Case(
        "texts made for a teacher: nothing changed",
        setting("refine", {"distill": {"augment": {"copies": 2, "mask": 0, "segment": 0}}}),
        (
            "refine.distill.augment: with mask and segment 0 its texts are those of the training examples",
            "raise one of them, or remove augment",
        ),
    ),
    Case(
        "texts made for a teacher, and a file of texts of the study",
        both(
            setting("refine", {"distill": {"augment": {"copies": 2}}}),
            setting("unlabelled_file", "data/unlabelled.csv"),
        ),
        (
            "its teacher answers the texts of unlabelled_file, not those of refine.distill.augment",
            "remove one of the two",
        ),
    ),
    Case(
        "texts made for a teacher: other ones for another origin",
        both(
            setting("refine", {"distill": {}}),
            setting(
                "origins",
                [{"name": "finetuned"}, {"name": "gradual", "refine": {"distill": {"augment": {"copies": 2}}}}],
            ),
        ),
        (
            "origins[1] (gradual).refine.distill.augment: all runs of a task with a teacher share the texts",
            "write the same for each",
        ),
    ),
    Case(
        "a race of one",
        setting("race", {"shortlist": 1}),
        ("race.shortlist: 1 is less than the minimum of 2",),
    ),
    Case("huge seed", setting("seeds", [2**32]), ("seeds[0]: 4294967296 is greater than the maximum",)),
    Case("fraction for a count", setting("train.epochs", 2.5), ("train.epochs: 2.5 is not a whole number",)),
    Case("3.0 for a count", setting("train.epochs", 3.0), ("train.epochs: 3.0 is not a whole number; write 3",)),
    Case("a boolean for a count", setting("train.epochs", True), ("train.epochs: True is not a whole number",)),
    Case("a boolean for a number", setting("train.learning_rate", True), ("learning_rate: True is not a number",)),
    Case("a boolean for a seed", setting("seeds", [True]), ("seeds[0]: True is not a whole number",)),
    Case("a boolean for a name", setting("study", True), ("study: True is not text", "in quotes")),
    Case("labels yes and no", setting("tasks.0.labels", ["bad", False]), ("labels[1]: False", "yes, no", "quotes")),
    Case(
        "labels that are numbers",
        setting("tasks.0.labels", ["bad", 1]),
        ("labels[1]: 1 is not text", "quotes"),
    ),
    Case("the same label twice", setting("tasks.0.labels", ["bad", "bad"]), ("labels", "remove the repeats")),
    Case("one label", setting("tasks.0.labels", ["bad"]), ("labels: ['bad'] is empty or too short; write at least 2",)),
    Case("number for a word", setting("compute.keep", 1), ("compute: unknown key 'keep'",)),
    Case(
        "unknown value", setting("compute.device", "gpu"), ("compute.device: unknown value 'gpu'; ", "known: auto, cpu")
    ),
    Case("path in the study's name", setting("study", "../../etc"), ("study: '../../etc' is not allowed",)),
    Case("path in a model's name", setting("models.0.name", "a/../b"), ("models[0] (a/../b).name", "not allowed")),
    Case(
        "path in a task's name", setting("tasks.0.name", "/etc/passwd"), ("tasks[0] (/etc/passwd).name", "not allowed")
    ),
    Case("blank in a name", setting("models.0.name", "my model"), ("'my model' is not allowed here",)),
    Case("quote in a name", setting("models.0.name", "it's"), ("is not allowed here",)),
    Case("shell in a name", setting("tasks.0.name", "$(touch pwned)"), ("'$(touch pwned)' is not allowed here",)),
    Case("braces in a name", setting("study", "{wildcards}"), ("study: '{wildcards}' is not allowed here",)),
    Case("letters beyond ASCII in a name", setting("study", "münchen"), ("study: 'münchen' is not allowed here",)),
    Case("line break at the end of a name", setting("study", "tiny\n"), ("study: 'tiny\\n' is not allowed here",)),
    Case("endless name", setting("study", "a" * 300), ("study: 'aaa", "too long; write at most 64")),
    Case(
        "a name of the pipeline's own", setting("models.0.name", "figures"), ("'figures' is one of the pipeline's own",)
    ),
    Case(
        "a file's name for a model",
        setting("models.0.name", "results.csv"),
        ("'results.csv' is one of the pipeline's",),
    ),
    Case(
        "a file's name for a task", setting("tasks.0.name", "cost.json"), ("'cost.json' is one of the pipeline's own",)
    ),
    Case("two models of a name", second("models"), ("models: the name 'bert' is used more than once",)),
    Case("names that differ in case", second("models", name="BERT"), ("the name 'bert' is used more than once",)),
    Case("two tasks of a name", second("tasks"), ("tasks: the name 'tiny' is used more than once",)),
    Case("two origins of a name", second("origins"), ("origins: the name 'finetuned' is used more than once",)),
    Case("a seed twice", setting("seeds", [3, 3]), ("seeds: 3 is listed more than once; remove",)),
    Case("all layers dropped", amounts("top", 4), ("strategies[0] (top).amounts: 4 of 4 layers cannot be dropped",)),
    Case("negative amount", amounts("top", -1), ("strategies[0] (top).amounts[0]: -1",)),
    Case("half a layer", amounts("top", 1.5), ("strategies[0] (top).amounts", "1.5")),
    Case(
        "a layer that is not there",
        amounts("custom", [9]),
        ("strategies[0] (custom).amounts: [9]: there is no layer 9",),
    ),
    Case("threshold above 1", amounts("contribution", 1.5), ("strategies[0] (contribution).amounts", "1.5")),
    Case(
        "shared layers to freeze",
        shared_layers(setting("origins.0.name", "finetuned-frozen")),
        ("strategies[0] (top): origin finetuned-frozen needs layers", "albert are one set; limit the entry to other"),
    ),
    Case(
        "shared layers to rank by their weights",
        shared_layers(amounts("parameter-variance", 1)),
        ("strategies[0] (parameter-variance): this strategy needs layers", "limit the entry to other models"),
    ),
    Case("unknown strategy", amounts("topp", 1), ("unknown strategy 'topp'; did you mean 'top'?",)),
    Case("unknown model in a limit", setting("strategies.0.models", ["brt"]), ("unknown model 'brt'; did you mean",)),
    Case(
        "unknown metric", setting("tasks.0.metrics", ["acuracy"]), ("unknown value 'acuracy'; did you mean 'accuracy'",)
    ),
    Case(
        "metric of another kind",
        setting("tasks.0.metrics", ["pearson"]),
        ("pearson does not suit classification: choose from",),
    ),
    Case(
        "f1 of three classes",
        setting("tasks.0.labels", ["bad", "good", "so so"]),
        ("f1 is for two classes", "macro_f1"),
    ),
    Case(
        "positive class that there is not",
        setting("tasks.0.positive_class", "goood"),
        ("tasks[0] (tiny).positive_class: unknown class 'goood'; did you mean 'good'?",),
    ),
    Case(
        "positive class of three",
        both(
            setting("tasks.0.labels", ["bad", "good", "odd"]),
            setting("tasks.0.metrics", ["accuracy"]),
            setting("tasks.0.positive_class", "odd"),
        ),
        ("positive_class: is for two classes, there are 3; remove the key",),
    ),
    Case(
        "positive class where texts may have several labels",
        multi_label(setting("tasks.0.positive_class", "good")),
        ("positive_class: positive_class does not suit multi-label: it is for classification; remove the key",),
    ),
    Case(
        "a metric of one class where texts may have several",
        multi_label(setting("tasks.0.metrics", ["accuracy"])),
        ("metrics: accuracy does not suit multi-label: choose from macro_f1, micro_f1, subset_accuracy",),
    ),
    Case(
        "reproduction of the paper with several labels a text",
        multi_label(setting("reproduction", True)),
        ("reproduction: reproduction does not suit multi-label", "the paper's tasks have one label each"),
    ),
    Case(
        "label and label_columns",
        multi_label(setting("tasks.0.label_columns", ["bad", "good"])),
        ("tasks[0] (tiny).label_columns: there is label, too; name the one column of lists, or those of 0 and 1",),
    ),
    Case(
        "label_columns and labels",
        multi_label(without_of_task("label"), setting("tasks.0.label_columns", ["bad", "good"])),
        ("tasks[0] (tiny).labels: label_columns name the classes; remove the key",),
    ),
    Case(
        "label_columns of a classification",
        both(without_of_task("label"), setting("tasks.0.label_columns", ["bad", "good"])),
        ("label_columns: label_columns does not suit classification: it is for multi-label; remove the key",),
    ),
    Case("no column of the label", without_of_task("label"), ("missing 'label'; name the column of the label",)),
    Case(
        "threshold of a classification",
        setting("tasks.0.threshold", 0.4),
        ("threshold: threshold does not suit classification: it is for multi-label; remove the key",),
    ),
    Case(
        "tuned thresholds without calibration examples",
        multi_label(setting("tasks.0.thresholds", "tuned")),
        ("tasks[0] (tiny).thresholds: are tuned on calibration examples, and there are none; add 'calibration:",),
    ),
    Case(
        "a threshold next to tuned ones",
        multi_label(
            setting("tasks.0.thresholds", "tuned"),
            setting("tasks.0.threshold", 0.4),
            setting("calibration", {"examples": 10}),
        ),
        ("tasks[0] (tiny).threshold: there are thresholds, one for each label; remove one of the two keys",),
    ),
    Case(
        "tuned thresholds of a classification",
        setting("tasks.0.thresholds", "tuned"),
        ("thresholds: thresholds does not suit classification: it is for multi-label; remove the key",),
    ),
    Case("threshold of 1", multi_label(setting("tasks.0.threshold", 1)), ("threshold: 1", "write a number below 1")),
    Case(
        "weights of classes of a regression",
        regression(setting("tasks.0.train", {"class_weights": "balanced"})),
        ("tasks[0] (tiny).train.class_weights: class_weights does not suit regression: it is for classification and",),
    ),
    Case(
        "weights of classes of an origin with a regression",
        regression(setting("origins.0.refine", {"class_weights": "balanced"})),
        ("class_weights does not suit regression (task tiny): it is for", "write 'refine: {class_weights: none}'"),
    ),
    Case(
        "weights of classes in a study with a regression",
        regression(setting("train.class_weights", "balanced")),
        ("class_weights does not suit regression (task tiny): it is for", "write 'train: {class_weights: none}'"),
    ),
    Case(
        "positive class of a regression",
        regression(setting("tasks.0.positive_class", "good")),
        ("positive_class: positive_class does not suit regression: it is for classification; remove the key",),
    ),
    Case(
        "ranking of one text",
        ranking(setting("tasks.0.text", ["query"])),
        ("(tiny).text: a ranking reads a query and a text; name two columns, that of the query first",),
    ),
    Case(
        "classes of a ranking",
        ranking(setting("tasks.0.labels", ["no", "yes"])),
        ("labels: labels does not suit ranking: it is for classification, multi-label and tokens",),
    ),
    Case(
        "accuracy of a ranking",
        ranking(setting("tasks.0.metrics", ["accuracy"])),
        ("metrics: accuracy does not suit ranking: choose from mrr_at_10, ndcg_at_10",),
    ),
    Case("no metrics", setting("tasks.0.metrics", []), ("metrics: [] is empty",)),
    Case(
        "refine that is a number, with the study's texts without labels",
        both(setting("refine", 3), setting("unlabelled_file", "data/unlabelled.csv")),
        ("refine: 3",),
    ),
    Case(
        "missing split",
        lambda _, study: study["tasks"][0].pop("validation_file") and None,
        ("missing 'validation_file'",),
    ),
    Case(
        "one file for both splits", setting("tasks.0.validation_file", "data/../data/train.csv"), ("are the same file",)
    ),
    Case("label among the texts", setting("tasks.0.text", ["text", "label"]), ("'label' is one of text, too",)),
    Case(
        "more rows than there are",
        setting("tasks.0.train_examples", 65),
        ("data/train.csv: has 64 rows", "ask for fewer"),
    ),
    Case(
        "more calibration than training examples",
        setting("calibration", {"examples": 63}),
        ("data/train.csv: has 64 rows, the study asks for 63 to calibrate with", "ask for fewer"),
    ),
    Case(
        "more training and calibration examples than there are",
        both(setting("tasks.0.train_examples", 50), setting("tasks.0.calibration", {"examples": 15})),
        ("has 64 rows, the study asks for 50 to train on and 15 to calibrate with; ask for fewer",),
    ),
    Case(
        "a handful of calibration examples",
        setting("calibration", {"examples": 3}),
        ("calibration.examples: 3 is less than the minimum of 10",),
    ),
    Case(
        "texts without labels, and no teacher",
        setting("tasks.0.unlabelled_file", "data/unlabelled.csv"),
        (
            "tasks[0] (tiny).unlabelled_file: a teacher answers these texts, and no run of this task has one",
            "add 'refine: {distill: {}}'",
        ),
    ),
    Case(
        "texts without labels, and a teacher for another origin",
        both(
            setting("tasks.0.unlabelled_file", "data/unlabelled.csv"),
            setting("origins", [{"name": "finetuned"}, {"name": "gradual", "refine": {"distill": {}}}]),
            setting("strategies.0.origins", ["finetuned"]),
        ),
        ("tasks[0] (tiny).unlabelled_file: a teacher answers these texts, and no run of this task has one",),
    ),
    Case(
        "texts without labels, and texts made for the teacher",
        both(
            setting("tasks.0.unlabelled_file", "data/unlabelled.csv"),
            setting("refine", {"distill": {"augment": {"copies": 2}}}),
        ),
        (
            "tasks[0] (tiny): its teacher answers the texts of unlabelled_file, not those of refine.distill.augment",
            "remove one of the two",
        ),
    ),
    Case(
        "a number of texts without labels, and no file",
        setting("tasks.0.unlabelled_examples", 100),
        ("tasks[0] (tiny).unlabelled_examples: there is no unlabelled_file; add it, or remove the key",),
    ),
    Case(
        "a number of test examples, and no file",
        setting("tasks.0.test_examples", 100),
        ("tasks[0] (tiny).test_examples: there is no test_file; add it, or remove the key",),
    ),
    Case(
        "more test examples than there are",
        both(tested(), setting("tasks.0.test_examples", 25)),
        ("data/test.csv: has 24 rows, the study asks for 25; ask for fewer",),
    ),
    Case(
        "test examples that are the validation data",
        tested(name="validation.csv"),
        ("tasks[0] (tiny): validation_file and test_file are the same file, data/validation.csv",),
    ),
    Case(
        "test examples that are the texts without labels",
        both(unlabelled(), tested("text,label\ngood day,good\nbad day,bad\n", name="unlabelled.csv")),
        ("tasks[0] (tiny): unlabelled_file: data/unlabelled.csv is the task's test data, too",),
    ),
    Case(
        "a list of GLUE tasks",
        setting("tasks.0", {"name": "tiny", "source": "glue", "subset": ["stsb"], "target": "embedding"}),
        ("tasks[0] (tiny).subset: unknown value ['stsb']; did you mean 'stsb'?",),
    ),
    Case(
        "a test split of GLUE, whose labels are hidden",
        glue_test("mrpc", "test"),
        (
            "tasks[0] (tiny): test_split: the labels of GLUE's test splits are not published (each is -1)",
            "bring labelled test rows as a task with source: files",
        ),
    ),
    Case(
        "a test split of MNLI, whose labels are hidden",
        glue_test("mnli", "test_matched"),
        ("test_split: the labels of GLUE's test splits are not published (each is -1); use validation_mismatched",),
    ),
    Case(
        "a test split of GLUE that models are chosen by",
        glue_test("mnli", "validation_matched"),
        ("test_split: models are trained on the training split and chosen by the validation split; use",),
    ),
    Case(
        "a test split that GLUE does not have",
        glue_test("rte", "dev"),
        ("test_split: GLUE's rte has no labelled split 'dev'; bring labelled test rows",),
    ),
    Case(
        "a test file of GLUE",
        setting("tasks.0", {"name": "tiny", "source": "glue", "subset": "rte", "test_file": "data/test.csv"}),
        ("tasks[0] (tiny): unknown key 'test_file'",),
    ),
    Case("calibration that is a number", setting("calibration", 100), ("calibration: 100 is not a mapping",)),
    Case(
        "subsets of layers without calibration examples",
        amounts("subset-readout", 1),
        ("strategies[0] (subset-readout): this strategy chooses layers on calibration", "add 'calibration:"),
    ),
    Case(
        "answers of a model that is not fine-tuned",
        both(
            setting("calibration", {"examples": 16}),
            amounts("greedy-score", 1),
            setting("origins.0.name", "pretrained"),
        ),
        ("(greedy-score): this strategy goes by the answers", "limit the entry by origins: ['finetuned']"),
    ),
    Case(
        "layers scored on a task that is not there",
        both(
            setting("origins.0.name", "pretrained"),
            setting("strategies.0", {**BY_CONTRIBUTION, "scores_from": "tinny"}),
        ),
        ("strategies[0] (contribution-rank).scores_from: unknown task 'tinny'",),
    ),
    Case(
        "positions scored on a task",
        setting("strategies.0.scores_from", "tiny"),
        ("(top).scores_from: this strategy does not score layers on texts alone", "remove the key"),
    ),
    Case(
        "fine-tuned models scored on one task",
        setting("strategies.0", {**BY_CONTRIBUTION, "scores_from": "tiny"}),
        ("scores_from: runs of origin finetuned start from models that are fine-tuned", "limit the entry"),
    ),
    Case(
        "a protected layer that the entry itself drops",
        setting("strategies.0", {"name": "custom", "amounts": [[0, 2]], "protect": [0]}),
        ("(custom).protect: layer 0 would go, but must stay: the study protects it",),
    ),
    Case(
        "a pattern of attention that the model does not have",
        setting("strategies.0", {"name": "cadence", "amounts": [2]}),
        ("(cadence).amounts: the layers of bert models are all of one kind of attention", "choose another strategy"),
    ),
    Case(
        "more layers protected than are left",
        both(
            setting("calibration", {"examples": 16}),
            setting("strategies.0", {"name": "subset-readout", "amounts": [3], "protect": [0, 3]}),
        ),
        ("(subset-readout).protect: 3 of 4 layers cannot go while 2 are protected; drop at most 2",),
    ),
    Case(
        "a budget too small for the layers",
        both(
            setting("calibration", {"examples": 16}),
            amounts("subset-readout", 1),
            setting("subsets", {"layer_evaluations": 5}),
        ),
        ("subsets.layer_evaluations: 5 layer evaluations are too few for 4 layers", "at least 15 (model bert)"),
    ),
    Case(
        "too many layers for the scores of all subsets",
        both(
            setting("calibration", {"examples": 16}),
            on_hub_model(num_layers=13),
            amounts("greedy-score", 1),
        ),
        (
            "(greedy-score): this strategy needs the scores of all subsets, which are 8191 of 13 layers (model m)",
            "raise subsets.layer_evaluations to that, or limit the entry to other models",
        ),
    ),
    Case("a budget without limits", setting("budget", {}), ("budget: has no limit; add score_kept, megabytes",)),
    Case(
        "an unknown limit of a budget",
        setting("budget", {"layer": 3}),
        ("budget: unknown key 'layer'; did you mean 'layers'?",),
    ),
    Case(
        "a budget that keeps nothing",
        setting("budget", {"score_kept": 0}),
        ("budget.score_kept: 0 is too small; write a number above 0",),
    ),
    Case(
        "a budget of more than the full model's score",
        setting("budget", {"score_kept": 101}),
        ("budget.score_kept: 101 is greater than the maximum of 100",),
    ),
    Case(
        "a budget of part of a layer",
        setting("budget", {"layers": 2.5}),
        ("budget.layers: 2.5 is not a whole number",),
    ),
    Case(
        "a budget of more layers than there are",
        setting("budget", {"layers": 5}),
        ("budget.layers: 5 is more than the 4 layers that the study's models have at most; lower it, or remove",),
    ),
    Case(
        "a budget that no arm can hold",
        both(amounts("top", 1, 2), setting("budget", {"layers": 1, "score_kept": 90})),
        ("budget.layers: no arm of bert on tiny keeps as few as 1, the fewest are 2; drop 3 layers", "or raise"),
    ),
    Case(
        "a budget for a batch size that is not measured",
        setting("budget", {"latency_ms": 5, "batch_size": 8}),
        ("budget.batch_size: the time of 8 texts at once is not measured; add it to measure.batch_sizes", "1, 32"),
    ),
    Case(
        "a budget's batch size without a time",
        setting("budget", {"layers": 3, "batch_size": 1}),
        ("budget.batch_size: says what latency_ms is for, which the budget lacks; add that, or remove the key",),
    ),
    Case(
        "a preference without models to deliver",
        setting("budget", {"layers": 3, "prefer": "size"}),
        ("budget.prefer: is for models that are delivered; add 'deliver: {}', or remove the key",),
    ),
    Case(
        "a budget with a preference alone",
        delivering({"prefer": "size"}),
        ("budget: has no limit; add score_kept, megabytes",),
    ),
    Case(
        "an unknown preference",
        delivering({"layers": 3, "prefer": "speed"}),
        ("budget.prefer: unknown", "'speed'", "latency", "size"),
    ),
    Case(
        "models to deliver without a budget",
        setting("deliver", {}),
        ("deliver: the study recommends no model, since it has no budget; add one, or remove the key",),
    ),
    Case(
        "models to deliver that are not kept",
        both(delivering(), setting("keep_models", False)),
        ("deliver: keep_models is false, so there is no model left to deliver; remove one of the two",),
    ),
    Case(
        "an unknown runtime",
        delivering(runtimes=["torch", "tensorrt"]),
        ("deliver.runtimes[1]: unknown", "'tensorrt'", "torch, onnx, onnx-int8"),
    ),
    Case(
        "an unknown vocabulary",
        delivering(vocabularies=["small"]),
        ("deliver.vocabularies[0]: unknown", "'small'", "full, trimmed"),
    ),
    Case("no runtime", delivering(runtimes=[]), ("deliver.runtimes: ", "at least 1")),
    Case("no vocabulary", delivering(vocabularies=[]), ("deliver.vocabularies: ", "at least 1")),
    Case("a runtime twice", delivering(runtimes=["onnx", "onnx"]), ("deliver.runtimes: ", "more than once")),
    Case(
        "how often tokens must occur, where none is left out",
        delivering(minimum_count=2),
        ("deliver.minimum_count: is for the trimmed vocabulary; add it to vocabularies, or remove the key",),
    ),
    Case(
        "tokens that need not occur",
        delivering(vocabularies=["trimmed"], minimum_count=0),
        ("deliver.minimum_count: 0 is less than the minimum of 1",),
    ),
    Case(
        "operators to leave out of int8, without int8",
        delivering(runtimes=["onnx"], exclude_operators=["Gather"]),
        ("deliver.exclude_operators: is for the runtime onnx-int8; add it to runtimes, or remove the key",),
    ),
    Case(
        "an operator that is no name",
        delivering(exclude_operators=[3]),
        ("deliver.exclude_operators[0]: 3 is not",),
    ),
    Case(
        "a model that is called like the folder of delivered ones",
        setting("models.0.name", "Delivered"),
        ("models[0]: the name 'Delivered' is one of the pipeline's own files; choose another",),
    ),
    Case(
        "a model that is called like the table of variants",
        setting("models.0.name", "variants.csv"),
        ("models[0]: the name 'variants.csv' is one of the pipeline's own files; choose another",),
    ),
    Case(
        "strategies judged without subsets",
        both(setting("calibration", {"examples": 16}), setting("oracle", True)),
        ("oracle: strategies are judged where all subsets of a size are refined", "add one that lists them"),
    ),
    Case(
        "strategies judged by a race that keeps some layers",
        both(
            judged(*EVERY_THREE),
            setting(
                "strategies",
                [
                    {"name": "keep", "amounts": [*EVERY_THREE]},
                    {"name": "subset-race", "amounts": [1], "protect": [0]},
                ],
            ),
        ),
        (".protect: strategies are judged as if all layers may go", "or remove the key"),
    ),
    Case(
        "strategies judged by some subsets",
        judged([0, 1], [0, 1, 2], [0, 1, 3], [1, 2, 3]),
        ("oracle: no number of layers has all its subsets refined for bert on tiny", "3 layers there are 3 of 4; list"),
    ),
    Case(
        "strategies judged without calibration examples",
        both(judged(*EVERY_THREE), without("calibration")),
        ("oracle: strategies choose layers on calibration examples, and there are none of tiny", "add 'calibration:"),
    ),
    Case(
        "strategies judged on a model whose layers are one set",
        shared_layers(judged(*EVERY_THREE)),
        ("oracle: the layers of albert are one set of weights", "limit the entries of keep to other models"),
    ),
    Case(
        "strategies judged by a part of the scores",
        both(judged(*EVERY_THREE), setting("subsets", {"layer_evaluations": 14})),
        ("subsets.layer_evaluations: 14 are too few to judge strategies", "raise it to 15"),
    ),
    Case(
        "NUL in a path",
        setting("tasks.0.train_file", "data/\x00.csv"),
        ("train_file", "must not hold braces", "control characters", "rename"),
    ),
    Case(
        "a path that is too long",
        setting("tasks.0.train_file", "x" * 300 + ".csv"),
        (".csv: cannot be read", "too long"),
    ),
    Case(
        "braces in a path",
        setting("tasks.0.train_file", "data/{d}.csv"),
        ("'data/{d}.csv' is not allowed here: a path must",),
    ),
    Case("a branch for a commit", on_hub(revision="main"), ("'main' is not a commit", "40 hexadecimal digits")),
    Case(
        "a pull request for a commit",
        on_hub(revision="refs/pr/1"),
        ("'refs/pr/1' is not a commit", "40 hexadecimal digits, that of a pull request, too"),
    ),
    Case(
        "another wish for pickled weights",
        on_hub_model(pickled_weights="read"),
        ("models[0] (m).pickled_weights: unknown value 'read'", "known: convert"),
    ),
    Case(
        "pickled weights that are not on the hub",
        setting("models.0.pickled_weights", "convert"),
        ("models[0] (bert): unknown key 'pickled_weights'",),
    ),
    Case(
        "path out of a data set",
        on_hub(train_file="../../secret.csv"),
        ("'../../secret.csv' is not the name of a file",),
    ),
    Case(
        "data of an unknown kind on the hub", on_hub(train_file="train.zip"), ("train.zip: unknown kind of file; use",)
    ),
    Case(
        "path out of a repository's name", on_hub(repository="../data"), ("repository: '../data' is not allowed here",)
    ),
    Case("no repository's name", on_hub(repository="a--b/data"), ("'a--b/data' is not a repository's name",)),
    Case(
        "path out of a package",
        package("../../etc"),
        ("models[0] (m).path: path '../../etc' must name a folder inside",),
    ),
    Case("absolute path in a package", package("/etc"), ("path '/etc' must name a folder inside the package",)),
    Case(
        "option for a package",
        package("x", package="--index-url=http://x"),
        ("m).package: '--index-url=http://x' is not allowed here",),
    ),
    Case("version with a line break", package("x", version="1\n"), ("version: '1\\n' is not allowed here",)),
    Case(
        "version as a number",
        package("x", version=1.0),
        ("version: 1.0 is not text; put the text in quotes",),
    ),
    Case(
        "data outside a package",
        in_package(path="../../etc/passwd"),
        ("path '../../etc/passwd' must name a file inside the package",),
    ),
    Case("data of a package of any hash", in_package(sha256="any"), ("sha256: 'any' is not allowed here",)),
    Case(
        "columns without the label",
        in_package(columns=["id", "text"]),
        ("columns: has no 'label', which text or label names; add it",),
    ),
    Case(
        "three ranges for two labels",
        in_package(label_ranges=[[-4, -0.5], [0, 1], [2, 3]]),
        ("label_ranges: there are 3 for 2 labels; give one for each label",),
    ),
    Case(
        "ranges that overlap",
        in_package(label_ranges=[[-4, 0], [0, 4]]),
        ("label_ranges: two of them overlap (both ends are included); separate them",),
    ),
    Case(
        "a range from high to low",
        in_package(label_ranges=[[-4, -0.5], [4, 0.5]]),
        ("label_ranges: [4, 0.5] ends before it begins; write the lower number first",),
    ),
    Case("sha256 that is none", setting("models.0.sha256", "abc"), ("sha256: 'abc' is not allowed here",)),
]

LONG_JSON = '{"text": ' + "[" * 100_000 + "]" * 100_000 + ', "label": "good"}\n'

DATA = [
    Case("no such file", setting("tasks.0.train_file", "data/no.csv"), ("data/no.csv: file not found",)),
    Case(
        "unknown kind of file", data("train.xlsx", "x"), ("data/train.xlsx: unknown kind of file; use .parquet, .csv",)
    ),
    Case(
        "folder for a file",
        as_folder("data/train.csv"),
        ("data/train.csv: is a folder; name the file of rows in it",),
    ),
    Case(
        "a pattern that no file matches",
        setting("tasks.0.train_file", "data/train-*.csv"),
        ("data/train-*.csv: file not found",),
    ),
    Case(
        "a pattern on the hub",
        on_hub(train_file="data/train-*.parquet"),
        ("data/train-*.parquet: names one file of the repository; patterns are for files on this machine",),
    ),
    Case(
        "a folder of save_to_disk",
        as_saved("data/saved"),
        ("data/saved: is a folder of datasets' save_to_disk", "datasets.load_from_disk(folder).to_parquet("),
    ),
    Case(
        "a folder of save_to_disk with all splits",
        as_saved("data/saved", "dataset_dict.json"),
        ("data/saved: is a folder of datasets' save_to_disk", 'datasets.load_from_disk(folder)["train"].to_parquet('),
    ),
    Case("link to itself", symlink_loop, ("data/train.csv: file not found",)),
    Case(
        "GLUE without files", glue_layout("rte/train.tsv"), ("glue/sst2/train.parquet: file not found", "nyu-mll/glue")
    ),
    Case(
        "GLUE as its original zip has it",
        glue_layout("SST-2/train.tsv", "SST-2/dev.tsv"),
        ("glue/sst2: GLUE as its original zip has it", "glue_directory: null, which downloads them"),
    ),
    Case(
        "GLUE with a part missing",
        glue_layout("sst2/train-00000-of-00002.parquet", "sst2/validation.tsv"),
        ("glue/sst2: 1 of 2 parts of train are there; get all of one version",),
    ),
    Case(
        "GLUE with parts of two versions",
        glue_layout(*(f"sst2/train-0000{part}.parquet" for part in TWO_VERSIONS), "sst2/validation.tsv"),
        ("glue/sst2: the parts of train are of versions with 1 and 2 parts; remove those of all versions but one",),
    ),
    Case(
        "a pattern that matches parts of two versions",
        both(
            *(content(f"data/train-0000{part}.csv", "text,label\nnice,good\nbad,bad\n") for part in TWO_VERSIONS),
            setting("tasks.0.train_file", "data/train-*.csv"),
        ),
        ("data: the parts of train are of versions with 1 and 2 parts; remove those of all versions but one",),
    ),
    Case(
        "texts without labels: a folder",
        both(unlabelled(), setting("tasks.0.unlabelled_file", "data")),
        ("tasks[0] (tiny): data: is a folder; name the file of rows in it",),
    ),
    Case(
        "texts without labels: no file",
        unlabelled(name="unlabeled.csv"),
        ("tasks[0] (tiny): data/unlabeled.csv: file not found",),
    ),
    Case("texts without labels: empty", unlabelled(""), ("data/unlabelled.csv: the file is empty",)),
    Case("texts without labels: header only", unlabelled("text\n"), ("data/unlabelled.csv: no rows",)),
    Case(
        "texts without labels: other columns",
        unlabelled("sentence\ngood day\n"),
        ("data/unlabelled.csv: no column 'text'; it has 'sentence'",),
    ),
    Case(
        "texts without labels: an empty text",
        unlabelled('text\ngood day\n""\n'),
        ("data/unlabelled.csv: row 2: text is empty; fill it or remove the row",),
    ),
    Case(
        "texts without labels: another encoding",
        unlabelled("text\nbon marché\n".encode("latin-1")),
        ("data/unlabelled.csv: line 2 is not UTF-8; convert",),
    ),
    Case(
        "texts without labels that are the training data",
        unlabelled(name="train.csv"),
        ("tasks[0] (tiny): unlabelled_file: data/train.csv is the task's train data, too; name a file of other texts",),
    ),
    Case(
        "more texts without labels than there are",
        both(unlabelled(), setting("tasks.0.unlabelled_examples", 28)),
        ("data/unlabelled.csv: has 27 rows, unlabelled_examples asks for 28; ask for fewer",),
    ),
    Case("test examples: no file", tested(name="tests.csv"), ("tasks[0] (tiny): data/tests.csv: file not found",)),
    Case("test examples: other columns", tested("sentence,label\na,good\n"), ("data/test.csv: no column 'text'",)),
    Case(
        "test examples: hidden labels",
        both(ids(""), tested("text,label\na good day,-1\na bad day,-1\n")),
        ("data/test.csv: row 1: label -1 marks a hidden label; use a split whose labels are known",),
    ),
    Case(
        "test examples: ids for labels, and names elsewhere",
        tested("text,label\na good day,1\na bad day,bad\n"),
        ("data/test.csv: row 1: label '1' is an id, but", "is a name; write names or ids in all rows"),
    ),
    Case(
        "test examples: one class only",
        tested("text,label\na good day,good\na better day,good\n"),
        ("the test split has only the class 'good'; nothing can be learnt or scored from one",),
    ),
    Case(
        "test examples: a class that training lacks",
        both(
            setting("tasks.0.labels", ["bad", "good", "odd"]),
            setting("tasks.0.metrics", ["accuracy"]),
            tested("text,label\na good day,good\nan odd day,odd\n"),
        ),
        ("the test split has 'odd', which the train split lacks; add or remove such rows",),
    ),
    Case("empty data", content("data/train.csv", ""), ("data/train.csv: the file is empty",)),
    Case("header only", content("data/train.csv", "text,label\n"), ("data/train.csv: no rows",)),
    Case("BOM only", content("data/train.csv", b"\xef\xbb\xbf"), ("data/train.csv: the file is empty",)),
    Case("zip for CSV", zipped, ("data/train.csv: is a zip archive or a spreadsheet, not csv; unpack",)),
    Case("gzip for CSV", content("data/train.csv", gzip.compress(b"text,label\n")), ("compressed (gzip)", "unpack")),
    Case(
        "pointer of Git LFS for CSV",
        content("data/train.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"),
        ("data/train.csv: is a pointer of Git LFS, not csv; get the file itself with: git lfs pull",),
    ),
    Case(
        "cut gzip",
        data("t.csv.gz", gzip.compress(b"text,label\na,good\n")[:-9]),
        ("data/t.csv.gz: cannot be read as csv", "write the file again"),
    ),
    Case("parquet called CSV", content("data/train.csv", b"PAR1xxxx"), ("data/train.csv: is parquet, not csv",)),
    Case("UTF-16", content("data/train.csv", "text,label\na,good\n".encode("utf-16")), ("is UTF-16 text, not csv",)),
    Case(
        "Latin-1", content("data/train.csv", b"text,label\nok,good\ncaf\xe9,bad\n"), ("line 3 is not UTF-8; convert",)
    ),
    Case(
        "other columns",
        content("data/train.csv", "sentence,gold\na,good\n"),
        ("no column 'text', 'label'; it has 'sent",),
    ),
    Case(
        "semicolons", content("data/train.csv", "text;label\na;good\n"), ("no column 'text', 'label'; it has 'text;l",)
    ),
    Case(
        "two columns of a name",
        content("data/train.csv", "text,text,label\na,b,good\n"),
        ("two columns are called 't",),
    ),
    Case("two columns of a name in parquet", parquet_with_two_of_a_name, ("two columns are called 'text'; rename",)),
    Case(
        "a name twice in JSON",
        data("a.jsonl", '{"text":"a","text":"b","label":"good"}\n'),
        ("row 1", "'text' is there"),
    ),
    Case("row with a field too many", rows("one, two,good\n"), ("data/train.csv: row 3 has 3 fields, the header 2",)),
    Case("open quotation mark", rows('"open,good\n'), ("data/train.csv: line ", "put texts with commas")),
    Case(
        "TSV with a header in quotation marks and rows that are not",
        data("t.tsv", '"text"\t"label"\n"so" they say\tgood\n'),
        ("data/t.tsv: no column 'text', 'label'", "quotation marks are read as text; those in line 2 do not quote"),
    ),
    Case(
        "line break in a TSV field",
        data("t.tsv", "text\tlabel\ntwo\nlines\tgood\n"),
        ("data/t.tsv: row 1 has 1 fields, the header 2", "line breaks must be in quotation marks, in all of the file"),
    ),
    Case("empty text", rows(",good\n"), ("data/train.csv: row 3: text is empty; fill it or remove the row",)),
    Case("blank text", rows("   ,good\n"), ("row 3: text is empty",)),
    Case("text that cannot be seen", rows("\u200b,good\n"), ("row 3: text holds only characters that cannot be seen",)),
    Case("missing label", rows("a day,\n"), ("row 3: label is missing; fill it or remove the row",)),
    Case("unknown label", rows("a day,fine\n"), ("row 3: label 'fine' is none of the labels 'bad', 'good'",)),
    Case("label in another case", rows("a day,Good\n"), ("row 3: label 'Good' is none of the labels",)),
    Case(
        "no label where texts may have several",
        multi_label(train="text,label\na,good|bad\nb,\nc,bad\n"),
        ("data/train.csv: row 2: label is missing; fill it or remove the row, or write [] where a text has no label",),
    ),
    Case(
        "unknown label among several",
        multi_label(train="text,label\na,good|bad\nb,bad|fine\nc,good\n"),
        ("data/train.csv: row 2: label 'fine' is none of the labels 'bad', 'good'",),
    ),
    Case(
        "a label twice in a row",
        multi_label(train="text,label\na,good|bad\nb,bad|bad\nc,good\n"),
        ("data/train.csv: row 2: label ['bad', 'bad'] names a label twice; remove the repeats",),
    ),
    Case(
        "lists of names without quotation marks",
        multi_label(
            content("data/validation.csv", 'text,label\na,"[""good"", ""bad""]"\nb,"[""good""]"\n'),
            train='text,label\na,"[good, bad]"\nb,[]\n',
        ),
        ("data/train.csv: row 1: label '[good, bad]' is not a list", 'write a list such as ["a", "b"]'),
    ),
    Case(
        "the same labels in all rows",
        multi_label(train="text,label\na,good|bad\nb,bad|good\n"),
        ("the train split has the same labels in all rows; nothing can be learnt or scored from one",),
    ),
    Case(
        "a label that training rows lack",
        multi_label(train="text,label\na,bad\nb,[]\n"),
        ("the validation split has 'good', which the train split lacks; add or remove such rows",),
    ),
    Case(
        "neither 0 nor 1 in a column of a label",
        multi_label(
            without_of_task("label"),
            without_of_task("labels"),
            setting("tasks.0.label_columns", ["bad", "good"]),
            content("data/validation.csv", "text,bad,good\na,1,0\nb,0,1\n"),
            train="text,bad,good\na,1,0\nb,0,yes\n",
        ),
        ("data/train.csv: row 2: good is 'yes', neither 0 nor 1; correct the row",),
    ),
    Case(
        "label id out of range",
        ids("a day,2\n"),
        ("data/train.csv: row 3: label 2 is out of range", "ids 0 to 1"),
    ),
    Case(
        "an id among names",
        rows("a day,1\n"),
        ("row 3: label '1' is an id, but 'good' in row 1 of", "is a name; write names or ids in all rows"),
    ),
    Case(
        "ids in one split, names in the other",
        content("data/train.csv", "text,label\na,1\nb,0\n"),
        ("row 1: label '1' is an id, but 'bad' in row 1 of data/validation.csv is a name; write names or ids",),
    ),
    Case(
        "ids of classes whose names are numbers",
        both(
            setting("tasks.0.labels", ["1", "2"]),
            content("data/train.csv", "text,label\na,1\nb,2\nc,0\n"),
            content("data/validation.csv", "text,label\na,1\nb,2\n"),
        ),
        ("label '0' is none of the labels '1', '2'; where these are numbers, no label is an id",),
    ),
    Case(
        "an id with a leading zero",
        ids("a day,01\n"),
        ("row 3: label '01' is no id; write a whole number from 0 to 1, without leading zeros",),
    ),
    Case(
        "labels that differ in a blank",
        setting("tasks.0.labels", ["bad", "bad "]),
        ("labels: 'bad' and 'bad ' are the same but for blanks", "rename one of them"),
    ),
    Case("hidden label", rows("a day,-1\n"), ("row 3: label -1 marks a hidden label",)),
    Case("float label in CSV", rows("a day,1.0\n"), ("row 3: label '1.0' is none of the labels",)),
    Case("endless digits for a label", rows(f"a day,{'9' * 5000}\n"), ("row 3: label '999", "none of the labels")),
    Case("float labels", parquet(text=["a", "b"], label=[0.5, 1.0]), ("row 1: label 0.5 is neither the name",)),
    Case("NaN labels", parquet(text=["a", "b"], label=[0.0, float("nan")]), ("row 2: label is missing",)),
    Case("boolean labels", parquet(text=["a", "b"], label=[True, False]), ("row 1: label True is neither the name",)),
    Case("lists for labels", parquet(text=["a", "b"], label=[[1], [0]]), ("row 1: label [1] is neither the name",)),
    Case("numbers for texts", parquet(text=[1, 2], label=["good", "bad"]), ("row 1: text is 1, not text",)),
    Case("bytes for texts", parquet(text=[b"a", b"b"], label=["good", "bad"]), ("row 1: text is b'a', not text",)),
    Case("null text", parquet(text=["a", None], label=["good", "bad"]), ("row 2: text is missing",)),
    Case("cut parquet", cut_parquet, ("data/train.parquet: cannot be read as parquet",)),
    Case("text called parquet", data("t.parquet", "text,label\n"), ("data/t.parquet: cannot be read as parquet",)),
    Case("broken JSON", data("t.jsonl", '{"text": "a",\n'), ("data/t.jsonl: row 1 is not JSON",)),
    Case(
        "JSON that is no object", data("t.jsonl", '["a", "good"]\n'), ("row 1 is not a JSON object; write one object",)
    ),
    Case("JSON nested too deeply", data("t.jsonl", LONG_JSON), ("data/t.jsonl: row 1",)),
    Case("half a surrogate pair", data("t.jsonl", '{"text": "\\ud800", "label": "good"}\n'), ("row 1", "surrogate")),
    Case(
        "one class only",
        content("data/validation.csv", "text,label\na,good\nb,good\n"),
        ("the validation split has only the class 'good'",),
    ),
    Case(
        "class only in validation",
        both(
            setting("tasks.0.labels", ["bad", "good", "odd"]),
            setting("tasks.0.metrics", ["accuracy"]),
            content("data/validation.csv", "text,label\na,good\nb,odd\n"),
        ),
        ("the validation split has 'odd', which the train split lacks",),
    ),
    Case(
        "calibration without one of the classes",
        both(
            setting("tasks.0.labels", ["bad", "good", "odd"]),
            setting("tasks.0.metrics", ["accuracy"]),
            setting("calibration", {"examples": 10}),
            content(
                "data/train.csv", "text,label\nan odd one,odd\n" + "".join(f"a {n},good\nb {n},bad\n" for n in range(9))
            ),
        ),
        ("calibration.examples: the 10 rows to calibrate with have none of the class 'odd'", "add rows of it"),
    ),
    Case(
        "fewer training rows than classes",
        both(
            setting("tasks.0.labels", ["bad", "good", "odd"]),
            setting("tasks.0.metrics", ["accuracy"]),
            setting("tasks.0.train_examples", 2),
            content("data/train.csv", "text,label\na,good\nb,odd\nc,bad\n"),
            content("data/validation.csv", "text,label\nd,good\ne,odd\nf,bad\n"),
        ),
        ("train_examples: 2 rows cannot hold the 3 classes of the validation split", "ask for at least 3"),
    ),
    Case(
        "relevance in words",
        ranking(content("data/train.csv", "query,text,relevance\na,b,yes\na,c,0\n")),
        ("row 1: relevance 'yes' is no relevance; write 0 for a text that does not answer the query",),
    ),
    Case(
        "relevance below 0",
        ranking(content("data/train.csv", "query,text,relevance\na,b,1\na,c,-1\n")),
        ("row 2: relevance '-1' is below 0; write 0",),
    ),
    Case(
        "relevances all alike",
        ranking(content("data/train.csv", "query,text,relevance\na,b,1\na,c,1\n")),
        ("all texts of the train split have the relevance 1",),
    ),
    Case(
        "one query to score",
        ranking(content("data/validation.csv", "query,text,relevance\na,b,1\na,c,0\nd,b,0\nd,c,0\n")),
        ("data/validation.csv: the validation split has 1 query with texts of different relevance", "each query needs"),
    ),
    Case(
        "a query of two splits",
        ranking(
            content("data/train.csv", "query,text,relevance\na,b,1\na,c,0\n"),
            content("data/validation.csv", "query,text,relevance\nA,b,1\na,d,0\nf,b,1\nf,c,0\n"),
        ),
        ("the train and validation splits share the query 'a'", "divide a ranking by whole queries"),
    ),
    Case(
        "a slice without whole queries",
        ranking(setting("tasks.0.validation_examples", 3)),
        ("validation_examples: queries are taken with all their texts, and 3 rows hold", "ask for more"),
    ),
    Case("text for a score", regression(rows("a day,much\n")), ("row 1: label 'good' is not a finite number",)),
    Case(
        "NaN for a score",
        regression(content("data/train.csv", "text,label\na,1\nb,nan\n")),
        ("row 2: label 'nan' is not",),
    ),
    Case(
        "infinite score",
        regression(content("data/train.csv", "text,label\na,1\nb,1e999\n")),
        ("'1e999' is not a finite",),
    ),
    Case("scores all alike", regression(content("data/train.csv", "text,label\na,1\nb,1\n")), ("only the value 1.0",)),
    Case(
        "ranges of a regression",
        regression(setting("tasks.0.label_ranges", [[0, 1], [2, 3]])),
        ("label_ranges does not suit regression: it is for classification",),
    ),
    Case(
        "labels of a regression",
        regression(setting("tasks.0.labels", ["a", "b"])),
        ("labels does not suit regression: it is for",),
    ),
]


def flip_header(content: bytes) -> bytes:
    return content[:20] + bytes([content[20] ^ 0xFF]) + content[21:]


def negative_offsets(content: bytes) -> bytes:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}'
    return struct.pack("<Q", len(header)) + header


QUERY = "bert.encoder.layer.1.attention.self.query.weight"


def as_integers(scales: str | None) -> Callable[[Tensors], None]:
    """All matrices of layers as int8, with or without a tensor of scales for each."""

    def change(tensors: Tensors) -> None:
        for name in [name for name in tensors if ".layer." in name and tensors[name].ndim == 2]:
            largest = abs(tensors[name]).max()
            tensors[name] = (tensors[name] / largest * 127).astype("int8")
            if scales:
                tensors[name.removesuffix("weight") + scales] = largest.reshape(1)

    return change


def as_fp8(folder: Path, _: Study) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "models/bert/model.safetensors"
    tensors = load_file(path)
    tensors[QUERY] = tensors[QUERY].to(torch.float8_e4m3fn)
    save_file(tensors, path, metadata={"format": "pt"})


def with_tensor(name: str, *shape: int) -> Spoil:
    """One more tensor, which belongs to what another tool put into a layer."""

    def change(tensors: Tensors) -> None:
        tensors[name] = tensors[QUERY].ravel()[:1].repeat(shape[0]).reshape(-1, 1)

    return weights(change)


def another_shared_tensor(folder: Path, _: Study) -> None:
    """The same in the one set of weights that all layers of an ALBERT are."""
    from safetensors.numpy import load_file, save_file

    path = folder / "models/albert/model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("attention.query.bias"))
    save_file(tensors | {name.replace("query.bias", "gate.weight"): tensors[name]}, path, metadata={"format": "pt"})


def without_a_head(tensors: Tensors) -> None:
    """Without one of four attention heads, in one layer."""
    for part in ("query", "key", "value"):
        for kind in ("weight", "bias"):
            name = QUERY.replace("query.weight", f"{part}.{kind}")
            tensors[name] = tensors[name][:24].copy()
    name = "bert.encoder.layer.1.attention.output.dense.weight"
    tensors[name] = tensors[name][:, :24].copy()


def adapter_only(folder: Path, _: Study) -> None:
    (folder / "models/bert/model.safetensors").rename(folder / "models/bert/adapter_model.safetensors")
    (folder / "models/bert/config.json").unlink()
    (folder / "models/bert/adapter_config.json").write_text("{}")


def adapter_beside_weights(folder: Path, _: Study) -> None:
    (folder / "models/bert/adapter_config.json").write_text("{}")


LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 90868376\n"


def inside(name: str) -> Spoil:
    """The model is in a folder of that name inside the one that the study names."""

    def spoil(folder: Path, _: Study) -> None:
        (folder / "models/bert").rename(folder / "models" / name)
        (folder / "models/bert").mkdir()
        (folder / "models" / name).rename(folder / "models/bert" / name)

    return spoil


def checkpoints_of_a_training(folder: Path, study: Study) -> None:
    inside("checkpoint-500")(folder, study)
    shutil.copytree(folder / "models/bert/checkpoint-500", folder / "models/bert/checkpoint-1000")


MODEL = [
    *(
        Case(
            f"Git LFS pointer for {name}",
            content(f"models/bert/{name}", LFS_POINTER),
            (f"{name} is a pointer of Git LFS, not the file itself", "git lfs pull"),
        )
        for name in ("model.safetensors", "config.json", "tokenizer.json")
    ),
    Case(
        "Git LFS pointer for a shard",
        sharded(lambda model: min(model.glob("model-*")).write_text(LFS_POINTER)),
        ("model-00001-of-", "is a pointer of Git LFS"),
    ),
    Case(
        "folder of a training",
        checkpoints_of_a_training,
        ("one in checkpoint-1000, checkpoint-500", "such as directory: models/bert/checkpoint-1000"),
    ),
    Case(
        "folder of sentence-transformers",
        inside("0_Transformer"),
        ("no whole model at the top", "such as directory: models/bert/0_Transformer"),
    ),
    Case(
        "some tensors with a prefix",
        weights(lambda tensors: tensors.update({f"model.{QUERY}": tensors.pop(QUERY)})),
        ("tensors begin with 'model.', as Lightning names them", "save the model alone"),
    ),
    Case("integers for weights", weights(as_integers(None)), ("is stored as I8", "choose the model that it was quant")),
    Case("integers with scales", weights(as_integers("SCB")), ("hold what belongs to quantized weights", "SCB")),
    Case("fp8 weights", as_fp8, (f"'{QUERY}' is stored as F8_E4M3", "choose the model that it was quantized from")),
    Case(
        "quantization in the configuration",
        config_json(quantization_config={"quant_method": "gptq", "bits": 4}),
        ("config.json has 'quantization_config'", "choose the model that it was quantized from"),
    ),
    Case("pruned heads", weights(without_a_head), ("has 24 rows of 32: attention heads are pruned", "before that")),
    Case(
        "pruned heads in the configuration",
        config_json(pruned_heads={"1": [0]}),
        ("config.json has 'pruned_heads': attention heads are pruned", "choose the model before that"),
    ),
    Case(
        "relative positions",
        config_json(position_embedding_type="relative_key"),
        ("'position_embedding_type' is 'relative_key'", "choose a model with absolute ones"),
    ),
    Case(
        "embeddings of relative positions",
        with_tensor("bert.encoder.layer.0.attention.self.distance_embedding.weight", 8),
        ("embeddings of relative positions", "absolute positions"),
    ),
    Case(
        "LoRA that is not merged",
        with_tensor(f"base_model.model.{QUERY.replace('weight', 'lora_A.weight')}", 8),
        ("adapters of PEFT (LoRA) that are not merged", "merge_and_unload"),
    ),
    Case(
        "adapters",
        with_tensor("bert.encoder.layer.0.output.adapters.mine.adapter_down.0.weight", 8),
        ("the weights hold adapters", "choose the model without adapters"),
    ),
    Case(
        "an adapter beside the weights",
        adapter_beside_weights,
        ("there is an adapter (adapter_config.json) beside the model's own weights", "remove adapter_config.json"),
    ),
    Case(
        "an adapter alone", adapter_only, ("there is an adapter (adapter_config.json) without the model", "merge_and")
    ),
    Case(
        "weights under a mask",
        with_tensor(QUERY.replace("weight", "weight_mask"), 8),
        ("weights that torch's prune masks", "end the pruning with"),
    ),
    Case(
        "a tensor that no BERT has",
        with_tensor("bert.encoder.layer.0.attention.gate.weight", 8),
        ("1 tensors in layers that no bert model has", "attention.gate.weight"),
    ),
    Case(
        "a tensor that no ALBERT has",
        shared_layers(another_shared_tensor),
        ("1 tensors in layers that no albert model has", "attention.gate.weight"),
    ),
    Case(
        "names of another tool",
        weights(lambda tensors: [tensors.update({f"student.{name}": tensors.pop(name)}) for name in [*tensors]]),
        ("no layers under the names of a bert model", "such as 'student.", "save the model alone"),
    ),
    Case(
        "computation in pieces",
        config_json(chunk_size_feed_forward=4),
        ("config.json has 'chunk_size_feed_forward'", "set it to 0"),
    ),
    Case(
        "fewer positions than stated",
        config_json(max_position_embeddings=512),
        ("position_embeddings.weight' has the shape [128, 32], but config.json means [512, 32]",),
    ),
    Case(
        "no such folder",
        setting("models.0.directory", "models/no"),
        ("models[0] (bert).directory", "no folder models/no"),
    ),
    Case("a file for a folder", setting("models.0.directory", "models/bert/config.json"), ("there is no folder",)),
    Case("no configuration", deleted("models/bert/config.json"), ("there is no config.json", "there are: model.safet")),
    Case(
        "broken configuration",
        content("models/bert/config.json", "{"),
        ("config.json: not valid JSON", "download it again"),
    ),
    Case(
        "a list for a configuration", content("models/bert/config.json", "[]"), ("config.json does not hold a mapping",)
    ),
    Case("binary configuration", content("models/bert/config.json", b"\xff\xfe\x00"), ("config.json: not valid JSON",)),
    Case("NaN in a configuration", config_json(layer_norm_eps=float("nan")), ("config.json: not valid JSON (NaN",)),
    Case("deep configuration", content("models/bert/config.json", "[" * 100_000), ("config.json: not valid JSON",)),
    Case("folder for a configuration", as_folder("models/bert/config.json"), ("there is no config.json",)),
    Case("no architecture", config_json(model_type=...), ("config.json lacks 'model_type'", "bert, roberta")),
    Case("unsupported architecture", config_json(model_type="t5"), ("the architecture 't5' is not supported; supp",)),
    Case(
        "a model of pictures and text",
        config_json(model_type="gemma3"),
        ("the architecture 'gemma3' is not supported: it reads pictures, too; its models", "gemma3_text"),
    ),
    Case(
        "an architecture whose tokenizers are programs",
        config_json(model_type="roformer"),
        ("the architecture 'roformer' is not supported: tokenizers of its published models divide", "jieba"),
    ),
    Case(
        "layers that depend on their number",
        config_json(model_type="gpt2", scale_attn_by_inverse_layer_idx=True),
        ("config.json has 'scale_attn_by_inverse_layer_idx': each layer divides by its own", "without it"),
    ),
    Case(
        "a mask that transformers does not make",
        config_json(model_type="gemma2", use_bidirectional_attention=True),
        ("config.json has 'use_bidirectional_attention': transformers masks what follows a token", "gemma3_text"),
    ),
    Case("a model's own code", config_json(auto_map={"AutoModel": "x.X"}), ("(auto_map), which is never run; choose",)),
    Case(
        "a tokenizer's own code",
        json_file("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.X", None]}),
        ("tokenizer_config.json asks for the tokenizer's own code (auto_map)",),
    ),
    Case("no number of layers", config_json(num_hidden_layers=...), ("lacks 'num_hidden_layers'", "add it")),
    Case("no layers", config_json(num_hidden_layers=0), ("'num_hidden_layers' is 0; it must be a whole number",)),
    Case("a boolean number of layers", config_json(num_hidden_layers=True), ("'num_hidden_layers' is True",)),
    Case("a billion layers", config_json(num_hidden_layers=10**9), ("'num_hidden_layers' is 1000000000",)),
    Case("text for a size", config_json(hidden_size="32"), ("config.json: 'hidden_size' is '32'; it must be",)),
    Case("no vocabulary size", config_json(vocab_size=...), ("config.json lacks 'vocab_size'",)),
    Case("heads that do not fit", config_json(num_attention_heads=5), ("5 heads cannot share 32 dimensions",)),
    Case("more layers stated", config_json(num_hidden_layers=6), ("states 6 layers", "the weights lack layers [4, 5]")),
    Case("fewer layers stated", config_json(num_hidden_layers=2), ("states 2 layers", "hold layers [2, 3] too")),
    Case(
        "another depth than the study says",
        setting("models.0.num_layers", 12),
        ("has 4 layers, the study says num_layers: 12",),
    ),
    Case(
        "longer than the positions",
        setting("measure.sequence_length", 500),
        ("500 tokens, but model bert has 128 positions",),
    ),
    Case(
        "time of the texts of another task",
        setting("measure.task", "qqp"),
        ("measure.task: unknown task 'qqp'; known: ",),
    ),
    Case("vocabulary that does not fit", config_json(vocab_size=100), ("token ids up to 230", "vocab_size is 100")),
    Case("wider configuration", config_json(hidden_size=64), ("has the shape", "config.json states")),
    Case("no weights", deleted("models/bert/model.safetensors"), ("there is neither model.safetensors nor model.saf",)),
    Case(
        "empty weights",
        content("models/bert/model.safetensors", b""),
        ("not a valid safetensors file", "download it again"),
    ),
    Case(
        "truncated weights", weight_bytes(lambda content: content[:-5]), ("model.safetensors: not a valid safetensors",)
    ),
    Case(
        "weights with more at the end", weight_bytes(lambda content: content + b"x"), ("not a valid safetensors file",)
    ),
    Case("flipped byte in the header", weight_bytes(flip_header), ("model.safetensors: not a valid safetensors file",)),
    Case("offsets below zero", weight_bytes(negative_offsets), ("model.safetensors: not a valid safetensors file",)),
    Case("header without end", weight_bytes(lambda _: struct.pack("<Q", 2**62)), ("not a valid safetensors file",)),
    Case("missing layer", drop_tensors(".layer.2."), ("the weights lack layers [2]",)),
    Case(
        "missing tensor of a layer",
        drop_tensors(".layer.2.output.dense.weight"),
        ("layer 2 lack 1 of 16 tensors", "get the model again"),
    ),
    Case(
        "missing tensor of all layers",
        drop_tensors(".output.dense.weight"),
        ("lack", "output.dense.weight", "download it again"),
    ),
    Case("missing embeddings", drop_tensors("word_embeddings"), ("lack 1 tensors", "word_embeddings.weight")),
    Case(
        "pickled weights",
        instead_of_weights("pytorch_model.bin"),
        ("only as pytorch_model.bin", "pickles can run code"),
    ),
    Case("other pickled weights", instead_of_weights("model.pt"), ("only as model.pt", "pickles can run code")),
    Case(
        "a pickle called safetensors",
        lambda folder, _: (folder / "models/bert/model.safetensors").write_bytes(payload(folder)) and None,
        ("model.safetensors: not a valid safetensors file",),
    ),
    Case(
        "missing shard",
        sharded(lambda model: next(iter(sorted(model.glob("model-*")))).unlink()),
        ("1 of ", "are missing: model-0"),
    ),
    Case(
        "truncated shard",
        sharded(lambda model: min(model.glob("model-*")).write_bytes(b"")),
        ("model-00001-of", "not a valid safetensors file"),
    ),
    Case(
        "index that leads elsewhere",
        sharded(index_of(lambda places: places.update(a="../../secret.safetensors"))),
        ("'../../secret.safetensors', which is not a safetensors file in its folder",),
    ),
    Case(
        "index that leads to a pickle",
        sharded(index_of(lambda places: places.update(a="pytorch_model.bin"))),
        ("'pytorch_model.bin', which is not a safetensors",),
    ),
    Case(
        "index of numbers",
        sharded(index_of(lambda places: places.update(a=7))),
        ("names 7, which is not a safetensors",),
    ),
    Case(
        "empty index",
        sharded(index_of(lambda places: places.clear())),
        ("no 'weight_map'", "download the checkpoint again"),
    ),
    Case(
        "index of tensors that are not there",
        sharded(index_of(lambda places: places.update(a=min(places.values())))),
        ("lacks the tensor 'a'",),
    ),
    Case("no tokenizer", deleted("models/bert/tokenizer.json"), ("there is no tokenizer (tokenizer.json, or a vocab",)),
    Case("broken tokenizer", content("models/bert/tokenizer.json", "{"), ("tokenizer.json: not valid JSON",)),
    Case(
        "tokenizer without a vocabulary",
        content("models/bert/tokenizer.json", "{}"),
        ("tokenizer.json has no vocabulary", "download it again"),
    ),
    Case(
        "tokenizer without padding",
        json_file("tokenizer_config.json", pad_token=None),
        ("no padding token; name one as",),
    ),
    Case(
        "Python's own name for a setting",
        json_file("tokenizer_config.json", __dict__=None),
        ("tokenizer_config.json has the key '__dict__'", "remove it"),
    ),
    Case("text for the padding", config_json(pad_token_id="0"), ("'pad_token_id' is '0'; it must be a token's id",)),
    Case(
        "padding that MPNet does not count from",
        config_json(model_type="mpnet", pad_token_id=0),
        ("'pad_token_id' is 0, but a mpnet model always counts positions from the token 1", "choose a model whose"),
    ),
    Case(
        "positions that DeBERTa does not attend to",
        config_json(model_type="deberta", relative_attention=True, pos_att_type=7),
        ("'pos_att_type' is 7", 'it must be a list such as ["p2c", "c2p"]'),
    ),
]

TOKENS = [
    Case(
        "a line without a tag",
        tagged("good\tB-good\nday\n"),
        ("words.conll: line 2: has 1 column, the first word 2; give each word a line with all columns",),
    ),
    Case(
        "columns without names",
        tagged("good NN B-good\n"),
        ("words.conll: line 1: has 3 columns, two are expected, a word and its tag; name all of them",),
    ),
    Case(
        "a tag that is none of the labels",
        tagged("good\tB-good\n\na\tO\nbad\tB-worse\n"),
        ("words.conll: line 4: tag of word 2: 'B-worse' is none of the labels 'O', 'B-good'",),
    ),
    Case(
        "more words than tags",
        tagged('{"word": ["a", "day"], "tag": ["O"]}\n', "words.jsonl"),
        ("words.jsonl: row 1: 2 words in word, but 1 tag in tag; give one tag for each word",),
    ),
    Case(
        "an empty word",
        tagged('{"word": ["a", " "], "tag": ["O", "O"]}\n', "words.jsonl"),
        ("words.jsonl: row 1: word 2 of word is empty; fill it, or remove the word and its tag",),
    ),
    Case(
        "a text where words should be",
        tagged('{"word": "a day", "tag": ["O"]}\n', "words.jsonl"),
        ("words.jsonl: row 1: word is 'a day', not a list of words; give a list of words, or use a CoNLL file",),
    ),
    Case(
        "no words",
        tagged('{"word": [], "tag": []}\n', "words.jsonl"),
        ("words.jsonl: row 1: word has no words; fill it or remove the row",),
    ),
    Case(
        "a tag that the training data lack",
        tagged("good\tB-good\nand\tO\n\nand\tO\n"),
        ("the validation split has the tag", "which the train split lacks"),
    ),
    Case(
        "one sentence to score",
        both(tagged(), content("data/validation.conll", "good\tB-good\nand\tO\n")),
        ("the validation split has one sentence, and at least 2 are needed", "a blank line ends one"),
    ),
    Case(
        "prefixes of two schemes",
        tagged(labels=["O", "B-x", "E-x", "L-x"]),
        ("labels: the prefixes B, E, L are of different schemes", "rewrite the tags in one"),
    ),
    Case(
        "a prefix of no scheme",
        tagged(labels=["O", "B-x", "Q-x"]),
        ("labels: the prefix Q- is of none of the schemes",),
    ),
    Case(
        "entities of tags that mark none",
        tagged(labels=["NOUN", "VERB"]),
        (".metrics: entity_f1 is of entities", "use token_accuracy"),
    ),
    Case(
        "two columns of words",
        both(tagged(), setting("tasks.0.text", ["word", "other"])),
        (".text: tokens have one column",),
    ),
    Case(
        "long texts of a classification",
        setting("tasks.0.long_texts", "split"),
        (".long_texts: long_texts does not suit classification: it is for tokens; remove the key",),
    ),
    Case(
        "augmented texts of words",
        both(tagged(), setting("refine.distill", {"augment": {"copies": 1}})),
        ("refine.distill.augment: augment does not suit tokens (task tiny): a changed word may need another tag",),
    ),
    Case(
        "words tagged by a decoder",
        both(tagged(), decoder),
        ("models[0] (bert).directory", "the family gpt2 does not suit tokens: a token", "choose a model of one"),
    ),
    Case(
        "words without labels",
        both(tagged(), unlabelled("text\na day\n")),
        (".unlabelled_file: unlabelled_file does not suit tokens: it has texts, which are not divided into words",),
    ),
    Case(
        "words without labels, of the study",
        both(tagged(), setting("refine.distill", {}), setting("unlabelled_file", "data/unlabelled.csv")),
        ("unlabelled_file: unlabelled_file does not suit tokens (task tiny): it has texts", "remove the key"),
    ),
]


EMBEDDINGS = [
    Case(
        "embedding with the module Dense",
        embedding(modules("Transformer", "Pooling", "Dense", "Normalize")),
        ("models[0] (bert).directory: modules.json: the module Dense is not supported; choose a model of the modules",),
    ),
    Case(
        "embedding with a module of its own code",
        embedding(modules("Transformer", "Pooling", package="custom_code")),
        ("modules.json: the module custom_code.Transformer is code of its own, which is never run",),
    ),
    Case(
        "embedding without pooling",
        embedding(modules("Transformer", "Normalize")),
        ("modules.json: the modules Transformer, Normalize are not supported",),
    ),
    Case(
        "embedding of a model without modules.json",
        embedding(deleted("models/bert/modules.json")),
        ("there is no modules.json, so that nothing says how a text becomes a vector", "SentenceTransformer(...).save"),
    ),
    Case(
        "embedding by two poolings",
        embedding(
            module_file("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True})
        ),
        ("1_Pooling/config.json: asks for cls, mean; exactly one is supported",),
    ),
    Case(
        "embedding by an unknown pooling",
        embedding(module_file("1_Pooling/config.json", {"pooling_mode_lasttoken": True})),
        ("1_Pooling/config.json: pooling by lasttoken is not supported; there are cls, mean, max",),
    ),
    Case(
        "embedding with a prompt before each text",
        embedding(module_file("config_sentence_transformers.json", {"default_prompt_name": "query"})),
        ("config_sentence_transformers.json: the prompt 'query' is put before each text", "set it to null"),
    ),
    Case(
        "embedding that lower-cases outside of its tokenizer",
        embedding(module_file("sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": True})),
        ("sentence_bert_config.json: do_lower_case is not supported",),
    ),
    Case(
        "embedding of single texts",
        embedding(setting("tasks.0.text", ["text_a"])),
        ("text: the label of an embedding is the similarity of two texts; name two columns of text",),
    ),
    Case(
        "similarity outside of its range",
        embedding(content("data/train.csv", "text_a,text_b,label\na day,b day,1\na,b,6\n")),
        (
            "data/train.csv: row 2",
            "label is 6, outside the similarities from 0 to 5; correct it, or set similarity_range",
        ),
    ),
    Case(
        "range of similarities upside down",
        embedding(setting("tasks.0.similarity_range", [5, 0])),
        ("similarity_range: [5, 0] is empty; write the lowest similarity before the highest",),
    ),
    Case(
        "range of similarities of a regression",
        regression(setting("tasks.0.similarity_range", [0, 5])),
        ("similarity_range: similarity_range does not suit regression: it is for embedding and retrieval",),
    ),
    Case(
        "embedding and classification in one study",
        embedding(
            lambda _, study: study["origins"].pop(0),
            lambda _, study: study["tasks"].append(
                {"name": "other", "source": "glue", "subset": "mrpc", "train": {"epochs": 1}}
            ),
        ),
        ("tasks: tiny take models whose answers are vectors, other models with a head; make a study of each",),
    ),
    Case(
        "embedding of a GLUE task without similarities",
        setting("tasks.0", {"name": "tiny", "source": "glue", "subset": "mrpc", "target": "embedding"}),
        ("tasks[0] (tiny).target: the labels of mrpc are for classification; correct it, or remove the key",),
    ),
    Case(
        "layers of an embedding chosen by its [CLS] token",
        embedding(setting("strategies.0.name", "contribution-rank")),
        ("strategies[0]", "contribution does not suit embedding (task tiny): it goes by the [CLS] token's vector"),
    ),
    Case(
        "layers of an embedding chosen by a readout",
        embedding(
            lambda _, study: study["strategies"].append(
                {"name": "subset-readout", "amounts": [1], "origins": ["finetuned"]}
            ),
            setting("calibration", {"examples": 10}),
        ),
        ("strategies[1] (subset-readout): subset-readout does not suit embedding", "use subset-loss"),
    ),
    Case(
        "embedding that is trained in stages",
        embedding(lambda _, study: study["origins"].append({"name": "gradual"})),
        ("origins[2] (gradual): gradual does not suit embedding (task tiny)", "use the origin finetuned"),
    ),
    Case(
        "reproduction of the paper with a model of unknown depth",
        both(
            setting("reproduction", True),
            setting(
                "models.0",
                {"name": "m", "source": "hub", "repository": "someone/model", "revision": "0" * 40},
            ),
        ),
        ("reproduction: the number of layers of m is unknown before its download; add num_layers",),
    ),
    Case(
        "reproduction of the paper with embeddings",
        embedding(setting("reproduction", True)),
        ("reproduction: reproduction does not suit embedding (task tiny): the paper has classifiers only",),
    ),
    Case(
        "unit of texts without labels for a classification",
        both(unlabelled(), setting("tasks.0.unlabelled_unit", "line")),
        ("tasks[0] (tiny).unlabelled_unit: unlabelled_unit does not suit classification: it is for embedding",),
    ),
]


COLLECTIONS = [
    Case(
        "retrieval from labelled pairs",
        embedding(setting("tasks.0.target", "retrieval"), setting("tasks.0.metrics", ["ndcg_at_10"])),
        ("tasks[0] (tiny).target: retrieval takes other files than labelled text; write 'source: collection'",),
    ),
    Case(
        "collection scored by a correlation",
        collection(setting("tasks.0.metrics", ["spearmanr"])),
        ("metrics: spearmanr does not suit retrieval: choose from mrr_at_10, ndcg_at_10, recall_at_10, recall_at_100",),
    ),
    Case(
        "a teacher in a reproduction of the paper",
        both(setting("reproduction", True), setting("models.0.num_layers", 4), setting("refine", {"distill": {}})),
        ("refine.distill: the paper's models have no teacher", "remove the key, or 'reproduction'"),
    ),
    Case(
        "origins refined differently in a reproduction of the paper",
        both(setting("reproduction", True), setting("origins.0.refine", {"learning_rate": 0.001})),
        ("origins[0] (finetuned).refine: the paper's claims compare origins that are refined alike",),
    ),
    Case(
        "judgements that are not there",
        collection(deleted("data/qrels.tsv")),
        ("data/qrels.tsv: file not found",),
    ),
    Case(
        "collection without its documents",
        collection(deleted("data/corpus.jsonl")),
        ("data/corpus.jsonl: file not found",),
    ),
    Case(
        "one file for queries and documents",
        collection(setting("tasks.0.queries_file", "data/corpus.jsonl")),
        ("queries_file and corpus_file are the same file, data/corpus.jsonl",),
    ),
    Case(
        "documents without a text",
        collection(content("data/corpus.jsonl", '{"_id": "d0", "text": "a day"}\n{"_id": "d1", "text": ""}\n')),
        ("data/corpus.jsonl: row 2: text is empty; fill it or remove the row",),
    ),
    Case(
        "two documents with one id",
        collection(content("data/corpus.jsonl", '{"_id": "d0", "text": "a day"}\n{"_id": "d0", "text": "b"}\n')),
        ("row 2: _id is 'd0', which row 1 of corpus.jsonl has, too; give each row an id of its own",),
    ),
    Case(
        "judgements of unknown queries and documents",
        collection(content("data/qrels.tsv", "query-id\tcorpus-id\tscore\nq0\td99\t1\nq99\td1\t1\n")),
        (
            "data/qrels.tsv: row 1: corpus-id is 'd99', which no row of data/corpus.jsonl has; correct it or remove",
            "row 2: query-id is 'q99', which no row of data/queries.jsonl has",
        ),
    ),
    Case(
        "a judgement that is no grade",
        collection(content("data/qrels.tsv", "query-id\tcorpus-id\tscore\nq0\td1\tgood\n")),
        ("data/qrels.tsv: row 1: score is 'good', no grade; write 0 for a document that does not answer the query",),
    ),
    Case(
        "queries without a relevant document",
        collection(content("data/qrels.tsv", "query-id\tcorpus-id\tscore\nq0\td1\t1\nq1\td1\t0\n")),
        ("data/qrels.tsv: 1 query has a document of a grade above 0, and at least 2 are needed to score with",),
    ),
    Case(
        "test queries that models are chosen by",
        collection(
            content("data/test.tsv", "query-id\tcorpus-id\tscore\nq0\td1\t1\nq1\td1\t1\n"),
            setting("tasks.0.test_qrels_file", "data/test.tsv"),
        ),
        ("data/test.tsv: the query 'q0' and 1 other query is judged in qrels_file, too; test on other queries",),
    ),
    Case(
        "columns of pairs without a file of them",
        collection(setting("tasks.0.label", "similarity")),
        ("tasks[0] (tiny).label: there is no train_file; add it, or remove the key",),
    ),
    Case(
        "nothing to learn from",
        collection(
            setting("origins.1.refine", {"epochs": 2}),
            without_of_task("unlabelled_file"),
            without_of_task("unlabelled_text"),
        ),
        (
            "origins[1] (finetuned): there is nothing to learn from, since task tiny has no train_file",
            "name an unlabelled_file",
        ),
    ),
    Case(
        "a full model that is to learn from nothing",
        collection(setting("train.epochs", 1)),
        ("train.epochs: there is nothing to learn from, since task tiny has no train_file; write 0",),
    ),
    Case(
        "a full model of a task that is to learn from nothing",
        collection(setting("tasks.0.train", {"epochs": 3})),
        ("tasks[0] (tiny).train.epochs: there is nothing to learn from, since task tiny has no train_file; write 0",),
    ),
    Case(
        "calibration examples of nothing",
        collection(setting("calibration", {"examples": 10})),
        ("tasks[0] (tiny): calibration examples are taken from train_file; add it, or remove calibration",),
    ),
    Case(
        "classification without a file to train on",
        without_of_task("train_file"),
        ("tasks[0] (tiny): missing 'train_file'; name the file of labelled rows to train on",),
    ),
]

PLANNED = [*STUDY_FILE, *STUDY, *DATA, *TOKENS, *MODEL, *EMBEDDINGS, *COLLECTIONS]


# --- reported by the step that fetches -------------------------------------------------------------------------------


def vocabulary_of(size: int) -> Spoil:
    """A tokenizer that knows more words than the model."""

    def spoil(folder: Path, _: Study) -> None:
        path = folder / "models/bert/tokenizer.json"
        content = json.loads(path.read_text())
        added = {
            "id": size,
            "content": "[NEW]",
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        path.write_text(json.dumps(content | {"added_tokens": [*content["added_tokens"], added]}))

    return spoil


def flipped_weights(folder: Path, study: Study) -> None:
    """One bit of the last tensor is another one, which only the hash can show."""
    weights = (folder / "models/bert/model.safetensors").read_bytes()
    study["models"][0]["sha256"] = sha256(weights).hexdigest()
    weight_bytes(lambda content: content[:-1] + bytes([content[-1] ^ 1]))(folder, study)


def roberta_without_padding(folder: Path, _: Study) -> None:
    """A RoBERTa with BERT's tokenizer, whose padding is token 0, which config.json does not say."""
    tiny.make_model(folder / "other", "roberta")
    config = json.loads((folder / "other/config.json").read_text())
    del config["pad_token_id"]
    (folder / "models/bert/config.json").write_text(json.dumps(config))
    shutil.copyfile(folder / "other/model.safetensors", folder / "models/bert/model.safetensors")


def not_finite(tensors: Tensors) -> None:
    tensors[QUERY][3, 5] = float("nan")


FETCHED = [
    Case(
        "a weight that is not finite", weights(not_finite), ("query.weight has 1 or more numbers that are not finite",)
    ),
    Case(
        "other weights than the study means",
        setting("models.0.sha256", "0" * 64),
        ("has SHA-256", "these are not the weights"),
    ),
    Case("flipped byte in the weights", flipped_weights, ("has SHA-256", "these are not the weights that the study")),
    Case(
        "setting that transformers refuses",
        config_json(hidden_dropout_prob="much"),
        ("config.json cannot be used", "correct it"),
    ),
    Case(
        "activation that transformers lacks",
        config_json(hidden_act="swich"),
        ("config.json cannot be used (KeyError: 'swich')", "correct it"),
    ),
    Case(
        "padding of another id",
        config_json(pad_token_id=7),
        ("padding is token", "pad_token_id 7", "correct one of them"),
    ),
    Case(
        "padding that RoBERTa does not count from",
        roberta_without_padding,
        ("config.json has no pad_token_id, which means 1 for roberta", "add pad_token_id: 0 to config.json"),
    ),
    Case(
        "tokenizer that adds no [CLS] token",
        both(
            json_file("tokenizer.json", post_processor=None),
            json_file("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast"),
        ),
        ("puts no [CLS] token (cls_token: [CLS]) at the beginning", "tokenizer.json may lack a post_processor: use"),
    ),
    Case(
        "tokenizer that does not name its [CLS] token",
        json_file("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", cls_token=...),
        ("puts no [CLS] token (cls_token: None) at the beginning",),
    ),
    Case(
        "padding before the [CLS] token",
        json_file("tokenizer_config.json", padding_side="left"),
        ("the tokenizer pads on the left", 'set padding_side to "right" in tokenizer_config.json'),
    ),
    Case(
        "tokenizer of another kind",
        content("models/bert/tokenizer.json", '{"model": {"vocab": {"a": 0}}}'),
        ("the tokenizer cannot be loaded", "damaged"),
    ),
    Case(
        "tokenizer without a token for unknown words",
        json_file("tokenizer_config.json", unk_token=None),
        ("the tokenizer cannot be used (Exception: WordPiece error: Missing [UNK] token", "damaged"),
    ),
    Case(
        "class without padding",
        json_file("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", pad_token=...),
        ("no padding token; name one as pad_token",),
    ),
    Case(
        "added tokens beyond the model's",
        vocabulary_of(5000),
        ("token ids up to", "vocab_size is 231", "do not belong together"),
    ),
]


# --- the table in the documentation --------------------------------------------------------------------------------

GROUPS = {
    "The study's file": STUDY_FILE,
    "What the study says": STUDY,
    "Data files": DATA,
    "Tagged words": TOKENS,
    "Checkpoints": MODEL,
    "Sentence embeddings": EMBEDDINGS,
    "Test collections": COLLECTIONS,
    "Reported when the model is fetched": FETCHED,
    "Reported by `make study`, which then writes nothing": PROPOSED,
}


def as_page() -> str:
    """docs/bad-inputs.md."""
    lines = [
        "# Bad inputs",
        "",
        f"{sum(map(len, GROUPS.values()))} mistakes, and words of the message that each must give. All but those of",
        "the last two groups are reported before any job runs. Each gives one message and an exit code, no traceback,",
        "no computation.",
        "",
        "Made from `tests/bad_inputs.py` by `make docs`; do not edit.",
        "`make test` tries each in Python and some with snakemake, `make test-inputs` all but those of the last group.",
    ]
    for title, cases in GROUPS.items():
        lines += ["", f"## {title}", "", f"| Mistake ({len(cases)}) | Reported |", "|---|---|"]
        lines += [f"| {case.name} | {' … '.join(map(_as_code, case.message_parts))} |" for case in cases]
    return "\n".join(lines) + "\n"


def _as_code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|').strip()}`"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs/bad-inputs.md").write_text(as_page(), encoding="utf-8")
