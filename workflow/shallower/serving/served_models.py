"""The forms of a model whose serving is measured: what they need, and how large that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.model_classes import model_class_of
from shallower.core.variants import ONNX_DATA
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, TOKENIZER_FILES, WEIGHTS, WEIGHTS_INDEX
from shallower.models.sentence_embedding import SentenceEmbedding

PRECISIONS = ("fp32", "bf16")
# Beside the full model, served at the same time: so many models and processes at most, of so many bytes in fp32.
MOST_AT_ONCE, PROCESSES_AT_ONCE = 5, 16
AT_ONCE_BYTES = 500_000_000
TOKENIZER_CONFIG = TOKENIZER_FILES[1]


@dataclass(frozen=True)
class ServedModel:
    """A fine-tuned model as it is served.

    Attributes:
        name: what it is called; no two are called the same.
        runtime: "torch", "onnx" or "onnx-int8".
        path: the model's folder for torch, the .onnx file for the others.
        tokenizer: tokenizer.json; next to it are tokenizer_config.json and config.json.
        max_length: tokens that inputs are cut to.
        device: "cpu" or "cuda" (torch only).
        precision: "fp32" or "bf16" (torch only).
    """

    name: str
    runtime: str
    path: Path
    tokenizer: Path
    max_length: int
    device: str = "cpu"
    precision: str = "fp32"

    @property
    def config(self) -> Path:
        """The configuration of the model, which also has the names of the labels."""
        return self.path / CONFIG if self.runtime == "torch" else self.tokenizer.parent / CONFIG


def on_gpu(variants: Sequence[ServedModel]) -> list[ServedModel]:
    """The torch variants of a list on a GPU, in fp32 and in bf16; the first one is the first of the list."""
    return [
        replace(variant, name=f"{variant.name}, GPU {precision}", device="cuda", precision=precision)
        for variant in variants
        if variant.runtime == "torch"
        for precision in PRECISIONS
    ]


def models_at_once(full_bytes: int, forms: int) -> int:
    """How many models, each in so many forms, are served at the same time beside a full model of so many bytes.

    Each of them is compared with the full model on the same texts, which thus has to answer fewer of them.
    """
    return max(1, min(MOST_AT_ONCE, PROCESSES_AT_ONCE // forms, AT_ONCE_BYTES // full_bytes))


def files_of(variant: ServedModel) -> list[Path]:
    """The files that a user needs to serve a variant: weights, tokenizer and configuration.

    Raises UserError when one is missing.
    """
    if variant.runtime == "torch":
        # Beside the weights a run's folder may have its answers as a teacher.
        parts = [*sorted(variant.path.glob("model-*.safetensors")), *sorted(variant.path.glob(WEIGHTS_INDEX))]
        weights = [variant.path / WEIGHTS] if (variant.path / WEIGHTS).is_file() else parts
    else:
        # Weights of large models are in a second file, model.onnx.data or model.onnx_data.
        beside = (variant.path.with_name(variant.path.name + suffix) for suffix in (ONNX_DATA, "_data"))
        weights = [variant.path, *(file for file in beside if file.is_file())]
    needed = [*weights, variant.tokenizer, variant.config]
    missing = [file for file in needed if not file.is_file()]
    if missing or not weights:
        what = missing[0] if missing else variant.path / "*.safetensors"
        raise UserError(f"variant {variant.name!r}: {what}: file not found; export the model again")
    return needed


def size_bytes(variant: ServedModel) -> int:
    """Bytes on disk of what a user needs to serve a variant."""
    return sum(file.stat().st_size for file in files_of(variant))


def server_settings(variant: ServedModel, threads: int, example: str | Sequence[str]) -> dict[str, Any]:
    """Everything that the process of `shallower.serving.server` has to know, ready for JSON.

    `example` is the text (or pair) that it answers before it calls itself ready.
    """
    config = read_json(variant.config)
    family, embedding = family_of(config), SentenceEmbedding.of(config)
    tokenizer_config = variant.tokenizer.with_name(TOKENIZER_CONFIG)
    padding = read_json(tokenizer_config)
    pad_token = padding.get("pad_token")
    if isinstance(pad_token, dict):  # as older versions of transformers save it
        pad_token = pad_token.get("content")
    if not isinstance(pad_token, str):
        raise UserError(f"{tokenizer_config}: no pad_token; batches of texts need one")
    return {
        **asdict(variant),
        "path": str(variant.path),
        "tokenizer": str(variant.tokenizer),
        "threads": threads,
        "example": example,
        "pad_token": pad_token,
        "padding_side": padding.get("padding_side", "right"),
        "takes_token_types": family.takes_token_types,
        "one_token_type": family.num_token_types(config) in (0, 1),
        "forward_arguments": dict(family.forward_arguments),
        "model_class": model_class_of(config),
        "embedding": embedding and {"pooling": embedding.pooling, "normalize": embedding.normalize},
    }
