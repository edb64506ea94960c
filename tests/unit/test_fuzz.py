"""Random and mutated inputs are either taken or refused with a UserError; nothing else ever comes out.

A fixed sequence of examples, so that a failure repeats. FUZZ_EXAMPLES=3000 tries that many of each, other ones every
time.
"""

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bad_inputs import make_base
from fuzzing import fuzz
from labelled import read_one
from shallower.core.errors import UserError
from shallower.models.weight_files import copy_tensors, header, weight_files
from shallower.planning.plan import plan_study
from shallower.planning.sizes import model_size
from shallower.sources.file_formats import SUFFIXES
from shallower.sources.labelled_files import Columns
from shallower.sources.models import check_model, fetch_model
from shallower.study.file import check_study_file
from shallower.study.resolve import resolve_study


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A sound study, in the working directory; copy what is to be changed."""
    folder = tmp_path_factory.mktemp("base")
    study = make_base(folder)
    before = Path.cwd()
    os.chdir(folder)
    yield folder, study
    os.chdir(before)


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder for one example; tmp_path would be shared by all of a test."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


# --- what studies, files and bytes are made of ---------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**31, 2**64, -(10**40), 10**400]),
    st.floats(),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e-320]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "top", "bert", "tiny", "custom", "text", "label", "../x", "$(id)", "2e-5", "\x00", "ü" * 300]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.binary(max_size=4), st.dates())
KEYS = st.one_of(TEXTS, st.integers(-2, 2), st.none(), st.booleans())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything within a study, containers too."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def changed(draw: st.DrawFn, sound: Any, at_most: int = 3) -> Any:
    """A JSON-like content with some values replaced, removed or added."""
    content = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, at_most))):
        known = sorted(places(content), key=repr)
        if not known:
            break
        *parents, last = draw(st.sampled_from(known))
        node = content
        for key in parents:
            node = node[key]
        match draw(st.sampled_from(["replace", "remove", "add", "again"])):
            case "replace":
                node[last] = draw(VALUES)
            case "remove":
                del node[last]
            case "add" if isinstance(node, dict):
                node[draw(KEYS)] = draw(VALUES)
            case _ if isinstance(node, list):
                node.append(draw(st.one_of(VALUES, st.just(node[last]))))
    return content


@st.composite
def spoilt_bytes(draw: st.DrawFn, sound: bytes) -> bytes:
    """Content with bytes flipped, cut, repeated or put in."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["flip", "flip", "cut", "insert", "repeat"])):
            case "flip" if place < len(content):
                content[place] = draw(st.integers(0, 255))
            case "cut":
                del content[place : place + draw(st.integers(1, 200))]
            case "insert":
                content[place:place] = draw(st.binary(max_size=8))
            case _:
                content[place:place] = content[place : place + 40]
    return bytes(content)


# --- studies -------------------------------------------------------------------------------------------------------


def planned(study: Any) -> None:
    """All that is done with a study before a job runs."""
    with suppress(UserError):
        resolved = resolve_study(study)
        for model in resolved.models:
            model_size(resolved, model)
        plan_study(resolved)


@fuzz(200)
@given(data=st.data())
def test_studies(base, data):
    planned(data.draw(changed(base[1])))


@fuzz(100)
@given(data=st.data())
def test_settings_of_a_study(base, data):
    """Only scalars, so that more of them pass the schema."""
    study = copy.deepcopy(base[1])
    known = [path for path in places(study) if not isinstance(value_at(study, path), dict | list)]
    for path in data.draw(st.lists(st.sampled_from(sorted(known, key=repr)), min_size=1, max_size=2, unique=True)):
        value_at(study, path[:-1])[path[-1]] = data.draw(SCALARS)
    planned(study)


def value_at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


@fuzz(150)
@given(data=st.data())
def test_study_files(base, data):
    sound = yaml.safe_dump(base[1], sort_keys=False).encode()
    with scratch() as folder:
        file = folder / "study.yaml"
        file.write_bytes(data.draw(st.one_of(spoilt_bytes(sound), st.binary(max_size=60), st.text().map(str.encode))))
        with suppress(UserError):
            check_study_file(file)
            planned(yaml.load(file.read_bytes(), Loader=yaml.FullLoader))  # what was let pass, Snakemake can read


# --- data files ----------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.dictionaries(st.sampled_from(["text", "label", "other"]), SCALARS, max_size=3), min_size=0, max_size=5
)
CONLL = Columns(("word",), "tag", ("O", "B-day"), target="tokens")
CONLLU = Columns(("form",), "upos", ("ADJ", "NOUN"), target="tokens")
COLUMNS = st.sampled_from(
    [
        Columns(("text",), "label", ("bad", "good")),
        Columns(("text",), "label", None, target="regression"),
        Columns(("text", "other"), "label", ("0", "1", "2"), may_be_empty=True),
        Columns(("text",), "label", ("bad", "good"), target="tokens"),
        CONLL,
        CONLLU,
    ]
)
SOUND_ROWS = {"text": ["a good day", "a bad day, too"] * 6, "label": ["good", "bad"] * 6}


def sound_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    features = {"info": {"features": {"label": {"names": ["bad", "good"]}}}}
    table = pa.table({**SOUND_ROWS, "other": list(range(12))})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), sink)
    return sink.getvalue().to_pybytes()


def separated(between: str) -> bytes:
    lines = [f'"{text}"{between}{label}' for text, label in zip(*SOUND_ROWS.values(), strict=True)]
    return "\n".join([f"text{between}label", *lines]).encode()


SOUND = {
    ".csv": separated(","),
    ".tsv": separated("\t"),
    ".jsonl": "\n".join(
        json.dumps({"text": text, "label": label}) for text, label in zip(*SOUND_ROWS.values(), strict=True)
    ).encode(),
    ".parquet": sound_parquet(),
    ".conll": b"-DOCSTART-\tO\n\na\tO\nday\tB-day\n\n# more\nnight\tO\n",
    ".conllu": b"# text = good day\n"
    + b"".join(
        line.replace(b" ", b"\t") + b"\n"
        for line in (
            b"1 good good ADJ _ _ 2 amod _ _",
            b"2-3 days _ _ _ _ _ _ _ _",
            b"2 day day NOUN _ _ 0 root _ _",
            b"",
        )
    ),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_spoilt_was_sound(suffix):
    columns = {".conll": CONLL, ".conllu": CONLLU}.get(suffix, Columns(("text",), "label", ("bad", "good")))
    with scratch() as folder:
        (folder / f"a{suffix}").write_bytes(SOUND[suffix])
        assert len(read_one(folder / f"a{suffix}", columns))


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzz(150)
@given(data=st.data())
def test_spoilt_data(suffix, data):
    content = data.draw(st.one_of(spoilt_bytes(SOUND[suffix]), st.binary(max_size=60)))
    with scratch() as folder:
        (folder / f"a{suffix}").write_bytes(content)
        with suppress(UserError):
            read_one(folder / f"a{suffix}", data.draw(COLUMNS))


@fuzz(150)
@given(rows=ROWS, columns=COLUMNS)
def test_values_in_json_lines(rows, columns):
    with scratch() as folder:
        (folder / "a.jsonl").write_text("\n".join(json.dumps(row, default=str) for row in rows), encoding="utf-8")
        with suppress(UserError):
            read_one(folder / "a.jsonl", columns)


@fuzz(150)
@given(texts=st.lists(SCALARS, min_size=1, max_size=4), label=SCALARS, columns=COLUMNS)
def test_values_in_parquet(texts, label, columns):
    with scratch() as folder:
        try:
            table = pa.table({"text": texts, "other": texts, "label": [label] * len(texts)})
            pq.write_table(table, folder / "a.parquet")
        except (pa.ArrowException, OverflowError, ValueError):
            return  # no such table
        with suppress(UserError):
            read_one(folder / "a.parquet", columns)


# --- checkpoints ---------------------------------------------------------------------------------------------------


def checked(folder: Path) -> None:
    entry = {"name": "m", "source": "local", "directory": str(folder)}
    check_model(entry)  # gives what is wrong, and never raises
    with suppress(UserError):
        copy_tensors(weight_files(folder), folder / "copy.safetensors")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@fuzz(80)
@given(data=st.data())
def test_settings_of_a_checkpoint(base, name, data):
    sound = json.loads((base[0] / "models/bert" / name).read_text())
    with scratch() as folder:
        shutil.copytree(base[0] / "models/bert", folder / "m")
        content = data.draw(st.one_of(changed(sound), VALUES))
        (folder / "m" / name).write_text(json.dumps(content, skipkeys=True, default=str))
        checked(folder / "m")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"])
@fuzz(60)
@given(data=st.data())
def test_files_of_a_checkpoint(base, name, data):
    with scratch() as folder:
        shutil.copytree(base[0] / "models/bert", folder / "m")
        (folder / "m" / name).write_bytes(data.draw(spoilt_bytes((folder / "m" / name).read_bytes()[:60_000])))
        checked(folder / "m")


@fuzz(200)
@given(data=st.data())
def test_headers_of_weights(data):
    sound = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
    }
    text = json.dumps(data.draw(changed(sound)), skipkeys=True, default=str).encode()
    with scratch() as folder:
        file = folder / "model.safetensors"
        file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(24))
        with suppress(UserError):
            header(file)
            copy_tensors([file], folder / "copy.safetensors")
            header(folder / "copy.safetensors")


@fuzz(100)
@given(data=st.data())
def test_indexes_of_weights(base, data):
    sound = {"metadata": {"total_size": 1}, "weight_map": {"a": "model.safetensors", "b": "other.safetensors"}}
    with scratch() as folder:
        shutil.copytree(base[0] / "models/bert", folder / "m")
        (folder / "m/model.safetensors").rename(folder / "m/other.safetensors")
        content = data.draw(changed(sound))
        (folder / "m/model.safetensors.index.json").write_text(json.dumps(content, skipkeys=True, default=str))
        checked(folder / "m")


@fuzz(25)
@given(data=st.data())
def test_fetching_a_checkpoint(base, data):
    """All of the step, which has transformers look at the files, too."""
    name = data.draw(st.sampled_from(["config.json", "tokenizer_config.json", "tokenizer.json"]))
    with scratch() as folder:
        shutil.copytree(base[0] / "models/bert", folder / "m")
        content = data.draw(changed(json.loads((folder / "m" / name).read_text()), at_most=1))
        (folder / "m" / name).write_text(json.dumps(content, skipkeys=True, default=str))
        with suppress(UserError):
            fetch_model({"name": "m", "source": "local", "directory": str(folder / "m")}, folder / "out")
