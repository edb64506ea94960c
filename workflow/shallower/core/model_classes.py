"""transformers' classes of models, of which each kind of task names the one whose head it needs.

A saved model names its own in config.json, so that whoever loads one needs no more than its folder.
"""

from collections.abc import Mapping
from typing import Any

SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"
TOKEN_CLASSIFICATION = "AutoModelForTokenClassification"
NO_HEAD = "AutoModel"

# How transformers' names of architectures end: BertForTokenClassification.
_SUFFIXES = {"ForTokenClassification": TOKEN_CLASSIFICATION, "Model": NO_HEAD}


def model_class_of(config: Mapping[str, Any]) -> str:
    """The class that loads one of the pipeline's own models, by its config.json."""
    architecture = next(iter(config.get("architectures") or []), "")
    of_name = (model_class for suffix, model_class in _SUFFIXES.items() if str(architecture).endswith(suffix))
    return next(of_name, SEQUENCE_CLASSIFICATION)
