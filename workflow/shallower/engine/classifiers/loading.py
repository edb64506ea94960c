"""Load a checkpoint as a classifier, computed by the packed encoder or by transformers.

The packed encoder computes BERT-like models. All others, and BERT-like ones with a setting that the encoder does not
support, are computed by transformers, whose import alone takes longer than training a small model.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.model_classes import NO_HEAD, model_class_of
from shallower.engine.classifiers.base import Classifier
from shallower.models.encoder_families import ENCODERS, encoder_config
from shallower.models.folder import CONFIG, check_model
from shallower.models.heads import Head, choose_head
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)


def load_for_training(
    model_dir: str | Path, task: Mapping[str, Any], seed: int, padding_side: str = "right"
) -> Classifier:
    """Load a checkpoint as a classifier for a task (the content of its task.json).

    The checkpoint's own output layer is kept where its outputs have the names of the task's, in the task's order;
    another one, and whatever else the head lacks, is initialised at random from the seed. Raises UserError when layers
    or embeddings are missing or left over.
    """
    check_model(model_dir)
    config = read_json(Path(model_dir) / CONFIG)
    kind = task_kind(task["target"])
    if kind.answers_with_vectors:
        classifier = load_embedding(model_dir, config, padding_side)
        classifier.kind, classifier.head = kind, "none: the answer is the vector of the text"
        return classifier
    load: Callable[[str | Path, str, Mapping[str, Any], int, Head], Classifier]
    if is_packed(config, padding_side, kind.model_class):
        from shallower.engine.classifiers.packed_classifier import load_packed_for_training as load
    else:
        from shallower.engine.classifiers.transformers_classifier import load_transformers_for_training as load
    task_config = kind.model_config(task)
    names = list(task_config["id2label"].values())
    head = choose_head(model_dir, config, names, kind.model_class, kind.has_named_outputs)
    logger.info("head: %s", head.decision)
    classifier = load(model_dir, kind.model_class, task_config, seed, head)
    classifier.kind, classifier.head, classifier.has_new_output = kind, head.decision, head.rows is None
    return classifier


def load_for_prediction(model_dir: str | Path, padding_side: str = "right") -> Classifier:
    """Load a fine-tuned classifier for prediction.

    Raises UserError when a tensor is missing, left over or of another shape than the configuration says.
    """
    check_model(model_dir)
    config = read_json(Path(model_dir) / CONFIG)
    if SentenceEmbedding.of(config) is not None:
        return load_embedding(model_dir, config, padding_side)
    load: Callable[[str | Path], Classifier]
    if is_packed(config, padding_side, model_class_of(config)):
        from shallower.engine.classifiers.packed_classifier import load_packed_for_prediction as load
    else:
        from shallower.engine.classifiers.transformers_classifier import load_transformers_for_prediction as load
    return load(model_dir)


def load_embedding(model_dir: str | Path, config: Mapping[str, Any], padding_side: str) -> Classifier:
    """Load a sentence embedding, for training or prediction; `config` is its config.json."""
    if SentenceEmbedding.of(config) is None:
        raise UserError(f"{model_dir}: config.json does not say how a text becomes a vector; download the model again")
    load: Callable[[str | Path], Classifier]
    if is_packed(config, padding_side, NO_HEAD):
        from shallower.engine.classifiers.packed_classifier import load_packed_embedding as load
    else:
        from shallower.engine.classifiers.transformers_classifier import load_transformers_embedding as load
    return load(model_dir)


def is_packed(config: Mapping[str, Any], padding_side: str, model_class: str) -> bool:
    """Whether the packed encoder computes a model of a class. It needs the [CLS] token to be first in an example."""
    is_known = padding_side == "right" and encoder_config(config) is not None
    return is_known and model_class in ENCODERS[config["model_type"]].heads
