"""The folder of a delivered model: made once, complete or absent, and independent of the study from then on.

    README.md                                  the model's card
    config.json, model.safetensors             for from_pretrained
    tokenizer.json, tokenizer_config.json
    modules.json, 1_Pooling/config.json, ...   of sentence embeddings, for SentenceTransformer
    onnx/model.onnx, onnx/model-int8.onnx      where they were made; of more than 2 GB with onnx/model.onnx.data
    parity.json                                a few texts, and the logits or vectors that each form gives for them
    manifest.json                              what made it, and the SHA-256 of each file

Files are copies: links would change, or break, when the study is run again.
"""

import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from shallower.core.errors import UserError
from shallower.core.files import abandoned_parts, naming_errors, read_json, sha256_of, write_json, write_text
from shallower.core.provenance import code_state, versions
from shallower.core.variants import INT8, ONNX_DATA, TORCH
from shallower.delivery.card import model_card
from shallower.delivery.description import RUNTIMES, Delivered
from shallower.delivery.markdown import escaped
from shallower.delivery.parity import (
    PARITY,
    Examples,
    answer,
    cosines,
    difference,
    in_digits,
    parity_record,
    precision,
    with_vectors,
)
from shallower.delivery.variant_folders import model_files
from shallower.models.checksums import verified
from shallower.models.folder import CONFIG, MANIFEST, TOKENIZER_FILES, WEIGHTS
from shallower.models.sentence_embedding import write_embedding_files

README = "README.md"
# Of README.md, where it is text alone.
LONGEST_LINE = 120
TOKENIZER, TOKENIZER_CONFIG = TOKENIZER_FILES
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "onnxruntime", "huggingface_hub")


def make_folder(
    folder: str | Path,
    delivered: Delivered,
    run_dir: str | Path,
    examples: Examples,
    onnx: Mapping[str, str | Path] | None = None,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Make the folder of a delivered model; what stood there before is replaced.

    `run_dir` has the fine-tuned model and its tokenizer, `onnx` the ONNX file of each other form by its runtime. Their
    logits for the examples are computed here, by ONNX Runtime in processes without torch: those of the fp32 form must
    be PyTorch's, those of int8 are stored. `made_from` is added to the manifest.

    Raises UserError when a file is missing, damaged or of another size than described, and when an ONNX form does not
    answer, or not as PyTorch does.
    """
    folder, run_dir = Path(folder), Path(run_dir)
    sources = {WEIGHTS: run_dir / WEIGHTS, TOKENIZER: run_dir / TOKENIZER}
    for runtime, path in (onnx or {}).items():
        model = RUNTIMES[runtime].model
        # The second file of a large model is read by its name, which is that of the first and a suffix.
        sources |= dict(zip((model, model + ONNX_DATA), model_files(Path(path)), strict=False))
    _check_sources(delivered, run_dir, sources)
    with _replaced(folder) as part:
        for name, source in sources.items():
            (part / name).parent.mkdir(exist_ok=True)
            with naming_errors(folder / name):
                shutil.copyfile(source, part / name)
        write_json(part / CONFIG, delivered_config(read_json(run_dir / CONFIG), delivered))
        write_json(part / TOKENIZER_CONFIG, delivered_tokenizer(read_json(run_dir / TOKENIZER_CONFIG), delivered))
        write_embedding_files(part)
        write_json(part / PARITY, _parity(part, delivered, examples))
        write_text(part / README, model_card(delivered))
        write_json(part / MANIFEST, _manifest(part, delivered, run_dir, sources, made_from or {}))


def make_empty_folder(folder: str | Path, study: str, model: str, task: str, reason: str) -> None:
    """Say in the folder of a model and task why nothing is delivered; what stood there before is replaced."""
    folder = Path(folder)
    with _replaced(folder) as part:
        lines = [escaped(line) for line in textwrap.wrap(reason, LONGEST_LINE)]
        write_text(part / README, "\n".join(["# Nothing is delivered", "", *lines, ""]))
        manifest: dict[str, Any] = {
            "study": study,
            "model": model,
            "task": task,
            "recommended": None,
            "reason": reason,
            "forms": [],
            "versions": versions(PACKAGES),
            "sha256": {README: sha256_of(part / README)},
        }
        write_json(part / MANIFEST, manifest)


def _check_sources(delivered: Delivered, run_dir: Path, sources: Mapping[str, Path]) -> None:
    verified(run_dir, (WEIGHTS, CONFIG, *TOKENIZER_FILES))
    expected = {RUNTIMES[form.runtime].model: form.size for form in delivered.forms}
    if set(expected) != {name for name in sources if name != TOKENIZER and not name.endswith(ONNX_DATA)}:
        raise ValueError(f"files {sorted(sources)} for the forms {sorted(expected)}")
    for name, size in expected.items():
        path = sources[name]
        files = model_files(path)
        verified(path.parent, [file.name for file in files])
        if (found := sum(file.stat().st_size for file in files)) != size:
            raise UserError(
                f"{path}: {found} bytes, but {size} were measured; it has changed since, run the study again"
            )


def delivered_config(config: Mapping[str, Any], delivered: Delivered) -> dict[str, Any]:
    """config.json with the names of the classes; of a regression with one output without a name, without a head none.

    Where each class is a question of its own, it also has the `threshold` of probability, or the `thresholds` in the
    order of the classes, which transformers keeps.
    """
    kept = {key: value for key, value in config.items() if key not in ("id2label", "label2id", "num_labels")}
    if delivered.embedding is not None:
        return kept
    if delivered.labels is None:
        return kept | {"num_labels": 1}
    return kept | {
        "id2label": {str(index): label for index, label in enumerate(delivered.labels)},
        "label2id": {label: index for index, label in enumerate(delivered.labels)},
        **_thresholds(delivered),
    }


def _thresholds(delivered: Delivered) -> dict[str, Any]:
    match delivered.threshold:
        case None:
            return {}
        case float() | int():
            return {"threshold": delivered.threshold}
        case each:
            return {"thresholds": list(each)}


def delivered_tokenizer(config: Mapping[str, Any], delivered: Delivered) -> dict[str, Any]:
    """tokenizer_config.json by which a plain call makes what the model was trained on.

    It is cut at the length of the training, padded on the same side, and has token types only where the model takes
    them; tokenizers of some families return others, or none, unasked.
    """
    inputs = delivered.inputs
    return {
        **config,
        "model_max_length": inputs.max_length,
        "model_input_names": inputs.names,
        "padding_side": inputs.padding_side,
        "pad_token": config.get("pad_token", inputs.pad_token),
        "pad_token_type_id": inputs.pad_token_type_id,
    }


def _parity(part: Path, delivered: Delivered, examples: Examples) -> dict[str, Any]:
    """parity.json, after a comparison of the ONNX forms."""
    record = parity_record(examples, delivered.inputs)
    if examples.of_pairs:
        record = _of_vectors(part, delivered, examples, record)
    elif examples.of_parts:
        record["logits"]["fp32"] = in_digits(answer(part, TORCH, record).logits)
    for form in delivered.forms:
        if form.runtime == TORCH:
            continue
        try:
            found = answer(part, form.runtime, record).logits
        except UserError as error:
            raise UserError(f"{delivered.model}, {delivered.task}: {error}; export it again") from error
        if form.runtime == INT8:
            record["logits"][precision(INT8)] = found.tolist()
        elif not (off := difference(found, record["logits"]["fp32"])) <= (allowed := record["tolerances"]["fp32"]):
            raise UserError(
                f"{delivered.model}, {delivered.task}: {RUNTIMES[form.runtime].model} is up to {off:.2g} off the "
                f"logits of PyTorch ({allowed:.2g} allowed); export it again, and report it if it happens again"
            )
    return record


def _of_vectors(part: Path, delivered: Delivered, examples: Examples, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a model that answers with vectors: those of the form for PyTorch, whose cosines must be as scored.

    Predictions hold cosines alone, so that it answers here, in a process without this library.
    """
    vectors = answer(part, TORCH, record).logits
    if not (off := np.abs(cosines(vectors) - examples.logits[:, 0]).max()) <= (allowed := record["tolerances"]["fp32"]):
        raise UserError(
            f"{delivered.model}, {delivered.task}: {WEIGHTS} has cosines of texts up to {off:.2g} off those that were "
            f"scored ({allowed:g} allowed); run the study again, and report it if it happens again"
        )
    return with_vectors(record, vectors)


def _manifest(
    part: Path, delivered: Delivered, run_dir: Path, sources: Mapping[str, Path], made_from: Mapping[str, Any]
) -> dict[str, Any]:
    names = sorted(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())
    run_manifest = run_dir / MANIFEST
    return {
        **{name: getattr(delivered, name) for name in ("study", "model", "task", "arm", "seed", "recommended")},
        "kept_layers": list(delivered.kept_layers),
        "vocabulary": asdict(delivered.vocabulary),
        "forms": [form.runtime for form in delivered.forms],
        "base_model": asdict(delivered.base),
        "made_from": {
            "run": run_dir.as_posix(),
            "run_manifest": sha256_of(run_manifest) if run_manifest.is_file() else None,
            "files": {name: path.as_posix() for name, path in sources.items()},
            **made_from,
        },
        "code": code_state(Path(__file__).parent),
        "versions": versions(PACKAGES),
        "sha256": {name: sha256_of(part / name) for name in names},
    }


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder next to `folder`, which takes its place when the block ends; removed when the block fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for part in abandoned_parts(folder):
        shutil.rmtree(part)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
