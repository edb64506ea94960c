"""What the files of a model must have before it is used: weights and a configuration that can be taken."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, sha256_of
from shallower.models.families import family_of
from shallower.models.folder import WEIGHTS, WEIGHTS_INDEX
from shallower.models.size import ModelSize
from shallower.sources.pickled_weights import PICKLE
from shallower.sources.tensor_checks import check_settings

# Other frameworks' weights, or pickles, which can run code when they are read.
OTHER_WEIGHTS = re.compile(r".*\.(bin|pt|pth|ckpt|h5|msgpack|onnx)(\.index\.json)?")

_REMEDY = "name a folder or revision that save_pretrained wrote"


def weight_file(names: list[str], definition: Mapping[str, Any]) -> str:
    """The weights among a source's files: one file, or the index of several; a pickle if the study has it converted."""
    if "adapter_config.json" in names and not {WEIGHTS, WEIGHTS_INDEX} & set(names):
        raise UserError(
            "there is an adapter (adapter_config.json) without the model that it belongs to; load both with PEFT, call "
            "merge_and_unload, save the model with save_pretrained and use source local"
        )
    if "adapter_config.json" in names:
        raise UserError(
            "there is an adapter (adapter_config.json) beside the model's own weights, which transformers would put on "
            "them; if it is meant, load both with PEFT, call merge_and_unload, save the model with save_pretrained and "
            "use source local; if not, remove adapter_config.json"
        )
    if "config.json" not in names:
        raise UserError(
            f"there is no config.json, so this is not a model that transformers saved; {there_are(names)}; {_REMEDY}"
        )
    if WEIGHTS in names:
        return WEIGHTS
    if WEIGHTS_INDEX in names:
        return WEIGHTS_INDEX
    if PICKLE in names and definition.get("pickled_weights") == "convert":
        return PICKLE
    if others := [name for name in names if OTHER_WEIGHTS.fullmatch(name)]:
        raise UserError(
            f"the weights come only as {', '.join(others)}, which are not read because pickles can run code; "
            f"choose a revision with {WEIGHTS} (on the hub often a pull request of SFconvertbot), or "
            f"{_conversion(names, definition)}"
        )
    raise UserError(f"there is neither {WEIGHTS} nor {WEIGHTS_INDEX}; {there_are(names)}; {_REMEDY}")


def _conversion(names: list[str], definition: Mapping[str, Any]) -> str:
    """What else can be done about a model whose weights are pickled."""
    if definition["source"] == "hub" and PICKLE in names:
        return "have them converted with pickled_weights: convert (SECURITY.md says what is trusted then)"
    return "convert a model that you trust with save_pretrained and use source local"


def there_are(names: list[str]) -> str:
    """The names of a source's files, the first twenty of them, as part of a message."""
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"there are: {shown or 'no files'}"


def read_mapping(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds a mapping. Raises UserError when it does not."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path.name} does not hold a mapping; it is damaged or not of a model")
    return content


def checked_config(definition: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A configuration of which layers can be dropped, with the sizes that a model must have."""
    config = read_mapping(path)
    try:
        canonical_json(config).encode("utf-8")
    except ValueError:
        raise UserError(
            f"{path.name} holds a number that is not finite, or text that is not Unicode; correct it"
        ) from None
    num_layers = family_of(config).num_layers(config)
    check_settings(config)
    size = ModelSize.of(config)
    if size.hidden_size % size.num_heads:
        raise UserError(f"{path.name}: {size.num_heads} heads cannot share {size.hidden_size} dimensions; correct it")
    family, padding = family_of(config), config.get("pad_token_id", 0)
    if type(padding) is not int and (padding is not None or family.positions_after_padding):
        raise UserError(f"{path.name}: 'pad_token_id' is {padding!r}; it must be a token's id, a whole number")
    if family.fixed_padding and family.padding_id(config) != family.default_padding_id:
        raise UserError(
            f"{path.name}: 'pad_token_id' is {padding}, but a {family.name} model always counts positions from the "
            f"token {family.default_padding_id}; choose a model whose padding token has this id"
        )
    if definition.get("num_layers", num_layers) != num_layers:
        raise UserError(
            f"the model has {num_layers} layers, the study says num_layers: {definition['num_layers']}; correct it"
        )
    return config


def check_hash(definition: Mapping[str, Any], weights: Path) -> None:
    """The weights must be those that the study means."""
    if (expected := definition.get("sha256")) and (found := sha256_of(weights)) != expected.lower():
        raise wrong_hash(found, expected)


def wrong_hash(found: str, expected: str) -> UserError:
    """The error that the weights are not those that the study means."""
    return UserError(
        f"{WEIGHTS} has SHA-256 {found}, the study says sha256: {expected}; these are not the "
        "weights that the study was made for; correct 'sha256', or use those weights"
    )


def check_with_transformers(directory: Path) -> None:
    """Raise UserError for a configuration that transformers itself does not take, or makes no model of."""
    # Importing them takes seconds, which the checks of a study must not wait for.
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):  # without numbers
            AutoModel.from_config(config, trust_remote_code=False)
    except Exception as error:  # validation below raises all kinds
        raise UserError(
            f"config.json cannot be used ({type(error).__name__}: {first_line(error)}); correct it"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an error's text, which may be long."""
    return next(iter(str(error).strip().splitlines()), "no message")
