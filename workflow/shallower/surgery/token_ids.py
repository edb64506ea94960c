"""Where the JSON files of a model's folder hold token ids, and the same files with new ids.

A new id is given for each kept token, dense and in the old order. Whatever holds an id and is not known here is
refused by name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.families import family_of
from shallower.surgery.tokenizer_models import TokenizerModel, Unigram, tokenizer_model

# Entries of a tokenizer.json; all but three hold no ids.
ENTRIES = frozenset(
    {
        "version",
        "truncation",
        "padding",
        "added_tokens",
        "normalizer",
        "pre_tokenizer",
        "post_processor",
        "decoder",
        "model",
    }
)
# What transformers' classes call special tokens where the files do not say it.
USUAL_NAMES = frozenset(
    {
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
        "<cls>",
        "<sep>",
        "<mask>",
        "<eod>",
        "<eop>",
    }
)
# Entries of a tokenizer_config.json that list special tokens.
LISTS = ("extra_special_tokens", "additional_special_tokens")
# Entries whose names end like those of ids, but which hold types of tokens.
TOKEN_TYPES = frozenset({"pad_token_type_id", "token_type_id", "cls_token_type_id"})
# Settings of generation that hold ids, which models for classification have no use for.
GENERATION = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "force_words_ids", "forced_decoder_ids")
# Classes that take the model from tokenizer.json as it is; others make their own one, with a fixed unknown id.
PLAIN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")

Ids = Mapping[int, int]


def special_ids(
    tokenizer: Mapping[str, Any], settings: Mapping[str, Any], config: Mapping[str, Any], model: TokenizerModel
) -> set[int]:
    """Ids of added and special tokens, and all that a folder's files name.

    `settings` are the content of tokenizer_config.json. Raises UserError when added tokens have other ids than the
    tokenizer gives them, and when an id is of no token.
    """
    ids = {token: number for number, token in model.tokens.items()}
    added = {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens") or []}
    behind = sorted(number for token, number in added.items() if token not in ids)
    if behind != list(range(len(ids), len(ids) + len(behind))) or any(
        ids.get(token, number) != number for token, number in added.items()
    ):
        raise UserError(
            "tokenizer.json: added_tokens have other ids than the vocabulary gives them; save the tokenizer again with "
            "save_pretrained"
        )
    names = set(USUAL_NAMES)
    for key, value in settings.items():
        if key.endswith("_token") or key in LISTS:
            names |= {_content(entry) for entry in (value if isinstance(value, list) else [value])}
    found = _Found()
    _renumbered_around_model(tokenizer, found)
    _renumbered_entries(settings, found)
    _renumbered_entries(config, found)
    found.update({ids[name]: ids[name] for name in names if name in ids})
    for number in (model.unknown_id(), family_of(config).padding_id(config)):
        if number is not None:
            found[number] = number
    if lost := sorted(set(found) - {*ids.values()} - {*added.values()}):
        raise UserError(
            f"the files name the token id {lost[0]}, which no token of tokenizer.json has; correct config.json or "
            "tokenizer_config.json"
        )
    return set(found)


def renumbered_tokenizer(tokenizer: Mapping[str, Any], new_ids: Ids) -> dict[str, Any]:
    """The content of a tokenizer.json of the tokens with a new id.

    Raises UserError for an entry that is not known, and for a step after the model that may hold ids of its own.
    """
    if unknown := sorted(set(tokenizer) - ENTRIES):
        raise UserError(f"tokenizer.json: the entry {unknown[0]!r} is not supported by trimming")
    return _renumbered_around_model(tokenizer, new_ids) | {"model": tokenizer_model(tokenizer).renumbered(new_ids)}


def _renumbered_around_model(tokenizer: Mapping[str, Any], new_ids: Ids) -> dict[str, Any]:
    renumbered = dict(tokenizer)
    renumbered["added_tokens"] = [
        {**entry, "id": new_ids[entry["id"]]} for entry in tokenizer.get("added_tokens") or []
    ]
    renumbered["post_processor"] = _renumbered_processor(tokenizer.get("post_processor"), new_ids)
    if padding := tokenizer.get("padding"):
        renumbered["padding"] = {**padding, "pad_id": new_ids[padding["pad_id"]]}
    return renumbered


def renumbered_settings(settings: Mapping[str, Any], model: TokenizerModel, new_ids: Ids) -> dict[str, Any]:
    """The content of a tokenizer_config.json with new ids.

    Raises UserError when the unknown token of a Unigram model moves and the tokenizer's class has its own idea of it.
    """
    unknown = model.unknown_id()
    moves = isinstance(model, Unigram) and unknown is not None and new_ids[unknown] != unknown
    kind = settings.get("tokenizer_class")
    if moves and kind not in PLAIN_CLASSES:
        raise UserError(
            f"tokenizer_config.json: the unknown token would move from id {unknown} to {new_ids[unknown or 0]}, but "
            f"the tokenizer's class {kind!r} fixes it; leave the vocabulary of this model full"
        )
    return _renumbered_entries(settings, new_ids)


def renumbered_config(config: Mapping[str, Any], new_ids: Ids) -> dict[str, Any]:
    """The content of a config.json with the size of the vocabulary and the ids of the tokens with a new id.

    The padding token's id is always stated, since transformers would take the usual one where it is missing. Raises
    UserError where the family counts positions from that id, and it would move.
    """
    family, size = family_of(config), vocabulary_size(config)
    before = family.padding_id(config)
    renumbered = _renumbered_entries(config, new_ids)
    renumbered["vocab_size"] = sum(number < size for number in new_ids)
    if before is None:
        return renumbered
    renumbered["pad_token_id"] = new_ids[before]
    if family.first_position(renumbered) != family.first_position(config):
        raise UserError(
            f"config.json: a {family.name} model counts positions from its padding token's id {before}, below which "
            "not all ids have a token; leave the vocabulary of this model full"
        )
    return renumbered


def vocabulary_size(config: Mapping[str, Any]) -> int:
    """Rows of a model's matrix of word embeddings by its config.json. Raises UserError when it does not say it."""
    size = config.get("vocab_size")
    if type(size) is not int or size < 1:
        raise UserError(f"config.json: 'vocab_size' is {size!r}; it must be a whole number of at least 1")
    return size


class _Found(dict[int, int]):
    """In the place of new ids, finds out which ids some content holds."""

    def __missing__(self, number: int) -> int:
        self[number] = number
        return number


def _renumbered_entries(content: Mapping[str, Any], new_ids: Ids) -> dict[str, Any]:
    """The content of a config.json or tokenizer_config.json with new ids."""
    for key in GENERATION:
        if content.get(key):
            raise UserError(f"config.json: {key!r} holds token ids, which trimming does not support; remove it")
    renumbered = {key: _renumbered(key, content[key], new_ids) if _holds_ids(key) else content[key] for key in content}
    if isinstance(decoder := content.get("added_tokens_decoder"), Mapping):
        renumbered["added_tokens_decoder"] = {str(new_ids[int(number)]): token for number, token in decoder.items()}
    return renumbered


def _renumbered(key: str, value: Any, new_ids: Ids) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_renumbered(key, number, new_ids) for number in value]
    if type(value) is not int or value < 0:
        raise UserError(
            f"config.json or tokenizer_config.json: {key!r} is {value!r}, no token id; correct or remove it"
        )
    return new_ids[value]


def _holds_ids(key: str) -> bool:
    return (key.endswith("_token_id") or key == "unk_id") and key not in TOKEN_TYPES


def _content(token: Any) -> str:
    """A token's text, of one that stands alone or with its settings."""
    return token.get("content", "") if isinstance(token, Mapping) else str(token)


def _renumbered_processor(processor: Mapping[str, Any] | None, new_ids: Ids) -> dict[str, Any] | None:
    """The step after the model, which adds special tokens."""
    if processor is None:
        return None
    match processor.get("type"):
        case "TemplateProcessing":
            tokens = processor["special_tokens"]
            return {
                **processor,
                "special_tokens": {name: _renumbered_special(tokens[name], new_ids) for name in tokens},
            }
        case "BertProcessing" | "RobertaProcessing":
            ends = {end: [processor[end][0], new_ids[processor[end][1]]] for end in ("sep", "cls")}
            return {**processor, **ends}
        case "Sequence":
            return {**processor, "processors": _all_renumbered(processor["processors"], new_ids)}
        case "ByteLevel":
            return dict(processor)
        case kind:
            raise UserError(f"tokenizer.json: the post_processor {kind!r} is not supported by trimming")


def _all_renumbered(processors: Iterable[Mapping[str, Any]], new_ids: Ids) -> list[dict[str, Any] | None]:
    return [_renumbered_processor(processor, new_ids) for processor in processors]


def _renumbered_special(token: Mapping[str, Any], new_ids: Ids) -> dict[str, Any]:
    return {**token, "ids": [new_ids[number] for number in token["ids"]]}
