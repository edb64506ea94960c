"""Folders of candidates in each variant, and the records of what steps made in them.

A variant other than the model as it was trained has a folder of its own, with a manifest.json that holds the SHA-256 of
the files in it. A step makes such folders for all candidates of a model and task, and then one file, which names them
all with these sums: the step's output, which changes when one of the models does.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.runs import Run
from shallower.core.variants import AS_TRAINED, INT8, ONNX, ONNX_DATA, TORCH, Variant
from shallower.delivery.candidates import Candidate
from shallower.models.checksums import verified
from shallower.models.folder import CONFIG, MANIFEST, WEIGHTS

# What holds the weights in the folder of a variant.
MODEL_FILES = {TORCH: WEIGHTS, ONNX: "model.onnx", INT8: "model-int8.onnx"}


def folder_of(run: Run, variant: Variant) -> Path:
    """Folder of a run in a variant: as it was trained, that of the run itself."""
    if variant == AS_TRAINED:
        return Path(run.directory)
    names = {"study": run.study, "model": run.model, "task": run.task, "arm": run.arm, "seed": run.seed}
    return Path(layout.VARIANT.format(**names, **variant._asdict()))


def model_file(run: Run, variant: Variant) -> Path:
    """The file with the weights of a run in a variant."""
    return folder_of(run, variant) / MODEL_FILES[variant.runtime]


def model_files(model: Path) -> list[Path]:
    """The file with a model's weights and, of a large ONNX model, the second one beside it that holds them."""
    beside = model.with_name(model.name + ONNX_DATA)
    return [model, *([beside] if beside.is_file() else [])]


def torch_folder(run: Run, variant: Variant) -> Path:
    """Folder of what a variant was exported from, with config.json and tokenizer."""
    return folder_of(run, variant._replace(runtime=TORCH))


def variants_of(runtimes: Sequence[str], vocabularies: Sequence[str]) -> list[Variant]:
    """All combinations, the model as it was trained first, asked for or not: others are compared with it."""
    found = [Variant(runtime, vocabulary) for vocabulary, runtime in product(vocabularies, runtimes)]
    return list(dict.fromkeys([AS_TRAINED, *found]))


def in_variants(
    candidates: Iterable[Candidate], runtimes: Sequence[str], vocabularies: Sequence[str]
) -> Iterator[tuple[Candidate, Variant]]:
    """Each candidate in each of these variants, but for the model as it was trained."""
    for candidate in candidates:
        for vocabulary, runtime in product(vocabularies, runtimes):
            if (variant := Variant(runtime, vocabulary)) != AS_TRAINED:
                yield candidate, variant


def verified_candidate(candidate: Candidate) -> Path:
    """Folder of a candidate, whose files were checked.

    Raises UserError when a file is missing or damaged, or the model is not the one that was chosen.
    """
    folder = Path(candidate.run.directory)
    if verified(folder, (WEIGHTS, CONFIG))[WEIGHTS] != candidate.sha256:
        raise UserError(f"{folder}: not the model that was chosen as a candidate; run the study again")
    return folder


def scores_folder(run: Run, variant: Variant, split: str) -> Path:
    """Where predictions and scores of a run in a variant are: in its folder, for the test split in one inside it."""
    folder = folder_of(run, variant)
    return folder / layout.TEST if split == layout.TEST else folder


def write_folder_manifest(folder: Path, names: Iterable[str], made_from: str | None = None) -> None:
    """Record the SHA-256 of files in the folder of a variant, in addition to those recorded already.

    `made_from` is that of the weights that the model in the folder was made from.
    """
    path = folder / MANIFEST
    recorded = read_json(path) if path.is_file() else {"sha256": {}}
    sums = recorded["sha256"] | {name: sha256_of(folder / name) for name in names}
    write_json(path, recorded | ({"made_from": made_from} if made_from else {}) | {"sha256": sums})


def write_made(path: str | Path, made: Sequence[tuple[Candidate, Variant]], split: str = layout.VALIDATION) -> None:
    """Record what a step made: the folder of each candidate and variant, with the SHA-256 of its files.

    For the test split these are the folders of their scores.

    Folders of the same variants that others, who are no candidates any more, have left are removed.
    """
    folders = [folder_of(candidate.run, variant) for candidate, variant in made]
    for variant in {variant for _, variant in made}:
        for folder in Path(path).parent.glob(f"**/{variant.vocabulary}/{variant.runtime}"):
            if folder not in folders:
                shutil.rmtree(folder)
    made_in = [scores_folder(candidate.run, variant, split) for candidate, variant in made]
    write_json(path, {"folders": {str(folder): read_json(folder / MANIFEST)["sha256"] for folder in made_in}})
