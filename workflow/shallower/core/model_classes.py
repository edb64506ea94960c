"""transformers' classes of models, of which each kind of task names the one whose head it needs.

A saved model names its own in config.json, so that whoever loads one needs no more than its folder.
"""

import re
from collections.abc import Mapping
from typing import Any

SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"
TOKEN_CLASSIFICATION = "AutoModelForTokenClassification"
NO_HEAD = "AutoModel"

# How transformers' names of architectures end, such as BertForTokenClassification; XLNetLMHeadModel has a head.
_ENDINGS = {r"ForTokenClassification$": TOKEN_CLASSIFICATION, r"(?<!Head)Model$": NO_HEAD}


def model_class_of(config: Mapping[str, Any]) -> str:
    """The class that loads one of the pipeline's own models, by its config.json."""
    architecture = str(next(iter(config.get("architectures") or []), ""))
    of_name = (model_class for ending, model_class in _ENDINGS.items() if re.search(ending, architecture))
    return next(of_name, SEQUENCE_CLASSIFICATION)
