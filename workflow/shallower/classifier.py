"""Sequence classifiers of transformers, loaded and saved with nothing left unsaid.

Loading never reaches for the network and never runs code from a checkpoint.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from shallower.errors import UserError
from shallower.families import family_of

logger = logging.getLogger(__name__)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def load_for_training(model_dir: str | Path, task: Mapping[str, Any], seed: int) -> PreTrainedModel:
    """Load a checkpoint as a classifier (or, for regression, a model of one output) for a task, in fp32 on the CPU.

    `task` is the content of task.json. What the checkpoint lacks is drawn at random from the seed, and may only be
    the head. A head of another size is replaced. Raises UserError when layers or embeddings are missing or left over.
    """
    labels = task["labels"] if task["target"] == "classification" else [task["name"]]
    torch.manual_seed(seed)
    model, report = _load(
        model_dir,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        problem_type="regression" if task["target"] == "regression" else "single_label_classification",
        ignore_mismatched_sizes=True,
    )
    new = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    faults = [
        *(f"{name} is missing" for name in sorted(new) if not _is_head(name, model)),
        *(f"{name} is left over" for name in sorted(report["unexpected_keys"]) if _is_layer(name, model)),
    ]
    if faults:
        raise UserError(_unlike_config(model_dir, faults))
    if new:
        logger.info("new weights, drawn from seed %d: %s", seed, ", ".join(sorted(new)))
    return model


def load_for_prediction(model_dir: str | Path) -> PreTrainedModel:
    """Load a fine-tuned classifier in fp32, as any user would, ready to predict.

    Raises UserError when a tensor is missing, left over or of another shape than the configuration says.
    """
    model, report = _load(model_dir)
    faults = [
        *(f"{name} is missing" for name in sorted(report["missing_keys"])),
        *(f"{name} is left over" for name in sorted(report["unexpected_keys"])),
        *(f"{key} has the wrong shape" for key, *_ in report["mismatched_keys"]),
    ]
    if faults:
        raise UserError(_unlike_config(model_dir, faults))
    return model.eval()


def save(model: PreTrainedModel, tokenizer_dir: str | Path, output_dir: str | Path) -> None:
    """Write model.safetensors and config.json, and copy the tokenizer's files next to them."""
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    # One file, whatever the size: surgery, users and the pipeline expect exactly that.
    model.save_pretrained(output_dir, max_shard_size="1000GB")
    copy_tokenizer(tokenizer_dir, output_dir)


def copy_tokenizer(tokenizer_dir: str | Path, output_dir: str | Path) -> None:
    """Copy a fast tokenizer's files from one folder to another."""
    for name in TOKENIZER_FILES:
        shutil.copyfile(Path(tokenizer_dir) / name, Path(output_dir) / name)


def freeze_layers(model: PreTrainedModel, layers: Sequence[int]) -> None:
    """Keep layers (0-based from the bottom) out of the training, which leaves their weights as they are.

    Their dropout stays on (as in the authors' code; preprint, caption of Table 5). Raises UserError for layers that the
    model does not have, and when all its layers share one set of weights.
    """
    config = model.config.to_dict()
    family = family_of(config)
    if outside := sorted(set(layers) - set(range(family.num_layers(config)))):
        raise UserError(f"layers {outside} to freeze are not in the model, which has {family.num_layers(config)}")
    if layers and family.shares_layers:
        raise UserError(
            f"the layers of {family.name} are one set of weights, so that some cannot be frozen and others trained; "
            "leave this model out of the origin finetuned-frozen"
        )
    for name, parameter in model.named_parameters():
        if family.layer_of(name) in layers:
            parameter.requires_grad_(False)


def check_model(model_dir: str | Path) -> None:
    """Raise UserError when a folder lacks a model's files."""
    for name in ("config.json", "model.safetensors"):
        if not (Path(model_dir) / name).is_file():
            raise UserError(f"{model_dir}: no {name}; a model folder needs config.json and model.safetensors")


def check_tokenizer(tokenizer_dir: str | Path) -> None:
    """Raise UserError when a folder lacks the files that `save` will copy: better before the training than after."""
    for name in TOKENIZER_FILES:
        if not (Path(tokenizer_dir) / name).is_file():
            raise UserError(f"{tokenizer_dir}: no {name}; a model folder needs its fast tokenizer")


def count_parameters(model: torch.nn.Module) -> int:
    """The number of parameters, shared ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _load(model_dir: str | Path, **settings: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    check_model(model_dir)
    # Its load report is replaced by our own checks.
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    return AutoModelForSequenceClassification.from_pretrained(
        model_dir,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        **settings,
    )


def _is_head(name: str, model: PreTrainedModel) -> bool:
    """Is this tensor of the classifier part of the head? The pooler is: some checkpoints come without."""
    prefix = f"{model.base_model_prefix}."
    return not name.startswith(prefix) or name.startswith(f"{prefix}pooler")


def _is_layer(name: str, model: PreTrainedModel) -> bool:
    """Does this tensor of a checkpoint belong to a layer? Heads of pre-training are no concern of ours."""
    return family_of(model.config.to_dict()).layer_of(name) is not None


def _unlike_config(model_dir: str | Path, faults: list[str]) -> str:
    shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
    return f"{model_dir}: the weights do not fit config.json: {shown}; check the model's source or num_layers"
