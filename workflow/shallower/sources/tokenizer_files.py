"""A model's tokenizer: checked, and saved as a fast tokenizer whatever files it comes as."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.models.families import family_of
from shallower.models.family import Family
from shallower.sources.model_checks import first_line, read_mapping, there_are

logger = logging.getLogger(__name__)

# Each of these groups is a complete vocabulary; the first one that is there is used.
VOCABULARIES = (
    {"tokenizer.json"},
    {"vocab.txt"},
    {"vocab.json", "merges.txt"},
    {"spiece.model"},
    {"spm.model"},
    {"sentencepiece.bpe.model"},
    {"tokenizer.model"},
)
TOKENIZER_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}

# Traces of how and where a tokenizer was loaded, and lengths: each call of a tokenizer gives its own.
TRANSIENT_SETTINGS = {
    "is_local",
    "local_files_only",
    "name_or_path",
    "max_length",
    "pad_to_multiple_of",
    "stride",
    "truncation_strategy",
}

# Short, long, accented, unknown, empty: a tokenizer must not change by being saved.
PROBES = [
    "A short sentence, isn't it?",
    "Ünïcödé and CAPITALS 12,345.67",
    "one  two\tthree\n" * 5,
    "龍 🙂",
    "The The the THE",
    "",
]


def tokenizer_files(names: list[str]) -> list[str]:
    """The tokenizer's files among a source's files."""
    vocabulary = next((group for group in VOCABULARIES if group <= set(names)), None)
    if vocabulary is None:
        raise UserError(f"there is no tokenizer (tokenizer.json, or a vocabulary); {there_are(names)}")
    return sorted(vocabulary | (TOKENIZER_SETTINGS & set(names)))


NO_PADDING = "the tokenizer has no padding token; name one as pad_token in tokenizer_config.json"
# Entry in the manifest of a model without a [CLS] token: which token pads, and who says so.
PADDING = "padding"
# Likewise where texts that are too long are cut, and by what they are tokenized where the files do not agree.
TRUNCATION, TOKENS = "truncation", "tokens"


def check_tokenizer_files(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuse what can be seen without loading a tokenizer: own code, no padding token, ids beyond the model's."""
    if (directory / "tokenizer_config.json").is_file():
        settings = read_mapping(directory / "tokenizer_config.json")
        if settings.get("auto_map"):
            raise UserError("tokenizer_config.json asks for the tokenizer's own code (auto_map), which is never run")
        if settings.get("pad_token", "") is None and family_of(config).has_cls_token:
            raise UserError(NO_PADDING)
        # transformers makes attributes of all keys, also of those that Python keeps for itself.
        if own := [key for key in settings if key.startswith("__")]:
            raise UserError(f"tokenizer_config.json has the key {own[0]!r}, which is no setting; remove it")
    if (directory / "tokenizer.json").is_file():
        content = read_mapping(directory / "tokenizer.json")
        model = content.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        match vocabulary:
            case dict() if vocabulary and all(type(token) is int for token in vocabulary.values()):
                largest = max(vocabulary.values())
            case list() if vocabulary:
                largest = len(vocabulary) - 1
            case _:
                raise UserError("tokenizer.json has no vocabulary (model, vocab); it is damaged: download it again")
        _check_largest_id(largest, config)


def save_fast_tokenizer(directory: Path, config: Mapping[str, Any], target_dir: Path) -> dict[str, str]:
    """Write config.json, and a model's tokenizer, whatever it comes as, as tokenizer.json and tokenizer_config.json.

    Returned is what was decided, for the manifest: of padding for a family without a [CLS] token (the files of others
    must say it), of truncation and of tokens where the files say something else. Raises UserError when it cannot be a
    fast tokenizer, does not survive saving, has no padding token, does not fit the model's vocabulary, or does not put
    the [CLS] token where the model reads it.
    """
    tokenizer = _load_tokenizer(directory)
    decided: dict[str, str] = {}
    if not family_of(config).has_cls_token:
        config, decision = _with_padding(tokenizer, config)
        decided[PADDING] = decision
        logger.info("%s", decision)
    if tokenizer.pad_token is None:
        raise UserError(NO_PADDING)
    if tokenizer.truncation_side != "right":
        decided[TRUNCATION] = "texts that are too long lose tokens at their end; tokenizer_config.json says otherwise"
        logger.info("%s", decided[TRUNCATION])
        tokenizer.truncation_side = "right"
    if (directory / "tokenizer.json").is_file():
        with _refusing("the tokenizer cannot be used"):
            other = _other_tokens(directory, tokenizer)
        if other:
            decided[TOKENS] = other
            logger.warning("%s", other)
    # MiniLM's tokenizer.json, for one, would cut every text at 128 tokens.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(target_dir)
    saved_settings = read_json(target_dir / "tokenizer_config.json")
    kept = {key: value for key, value in saved_settings.items() if key not in TRANSIENT_SETTINGS}
    write_json(target_dir / "tokenizer_config.json", kept)

    if config.get("pad_token_id") == read_json(directory / "config.json").get("pad_token_id"):
        shutil.copyfile(directory / "config.json", target_dir / "config.json")
    else:
        write_json(target_dir / "config.json", config)
    saved = _load_tokenizer(target_dir)
    with _refusing("the tokenizer cannot be used"):
        changed = any(tokenizer(probe, probe).data != saved(probe, probe).data for probe in PROBES)
    if changed:
        raise UserError("the tokenizer gives other tokens once it is saved as tokenizer.json; use another model")
    _check_vocabulary(saved, config)
    _check_cls_token(saved, family_of(config))
    return decided


def _other_tokens(directory: Path, tokenizer: Any) -> str:
    """What to say where a model's tokenizer.json gives other tokens than transformers makes of its files; "" if none.

    transformers builds the tokenizers of some classes anew, by the class and its settings (do_lower_case and the like).
    AutoTokenizer does so for everybody, so it is followed.
    """
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(str(directory / "tokenizer.json"))
    own.no_truncation()
    own.no_padding()
    for probe in [line for text in PROBES for line in text.splitlines()[:1]]:
        ours, theirs = tokenizer.tokenize(probe), own.encode(probe, add_special_tokens=False).tokens
        if ours != theirs:
            return (
                f"{probe!r} is tokenized as {' '.join(ours)}, as by AutoTokenizer, but by its "
                f"tokenizer.json alone as {' '.join(theirs)}; the class {type(tokenizer).__name__} has rules of its "
                "own: if tokenizer.json is right, name PreTrainedTokenizerFast as tokenizer_class in "
                "tokenizer_config.json"
            )
    return ""


def _with_padding(tokenizer: Any, config: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A configuration with the tokenizer's padding token, which the tokenizer is given if it has none; and a sentence.

    A head without a [CLS] token reads the last token that is not `pad_token_id` of config.json, whatever the mask says:
    both must be the same, or batches of texts are answered wrong, or not at all. No weight depends on it.
    """
    stated = config.get("pad_token_id")
    by = "the tokenizer's padding token"
    if tokenizer.pad_token is None:
        known = type(stated) is int and 0 <= stated < len(tokenizer)
        named = tokenizer.convert_ids_to_tokens(stated) if known else None
        by = "config.json's pad_token_id" if named else "the token that ends texts, since the model names no other"
        if (token := named or tokenizer.eos_token) is None:
            raise UserError(NO_PADDING)
        tokenizer.pad_token = token
    number = tokenizer.pad_token_id
    was = "" if stated == number else f"; written to config.json, where pad_token_id was {stated}"
    return {**config, "pad_token_id": number}, f"texts are padded with {tokenizer.pad_token} (id {number}), {by}{was}"


def _load_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    with _refusing("the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise UserError("the tokenizer has no fast version; choose a model with tokenizer.json")
    return tokenizer


@contextmanager
def _refusing(problem: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries below raise all kinds for damaged files
        raise UserError(
            f"{problem} ({type(error).__name__}: {first_line(error)}); its files are damaged, or a package needed "
            "to build a fast tokenizer is missing: choose a model with tokenizer.json"
        ) from error


def _check_vocabulary(tokenizer: Any, config: Mapping[str, Any]) -> None:
    """Token ids must be rows of the model's embeddings, and both must mean the same by padding."""
    family = family_of(config)
    numbers = [number for token, number in tokenizer.get_vocab().items() if token not in family.unembedded_tokens]
    _check_largest_id(max(numbers), config)
    stated = config.get("pad_token_id")
    if stated is not None and stated != tokenizer.pad_token_id:
        raise UserError(
            f"padding is token {tokenizer.pad_token_id} to the tokenizer but pad_token_id {stated} in "
            "config.json; some models count positions from it: correct one of them"
        )
    if family.positions_after_padding and family.padding_id(config) != tokenizer.pad_token_id:
        raise UserError(
            f"config.json has no pad_token_id, which means {family.default_padding_id} for {family.name}, but padding "
            f"is token {tokenizer.pad_token_id} to the tokenizer, and positions are counted from it; add "
            f"pad_token_id: {tokenizer.pad_token_id} to config.json if the model was trained so"
        )


def _check_cls_token(tokenizer: Any, family: Family) -> None:
    """The [CLS] token must be where the model's head reads it, in single texts and pairs, with and without padding."""
    if not family.has_cls_token:
        _check_padding_side(tokenizer, family)
        return
    side, end = ("right", "beginning") if family.cls_place == 0 else ("left", "end")
    for texts in (("one",), ("one", "two")):
        ids = tokenizer(*texts).input_ids
        if tokenizer.cls_token_id is None or not ids or ids[family.cls_place] != tokenizer.cls_token_id:
            raise UserError(
                f"the tokenizer puts no [CLS] token (cls_token: {tokenizer.cls_token}) at the {end} of a text, where a "
                f"{family.name} model reads its answer; tokenizer.json may lack a post_processor: use the files of the "
                "tokenizer that the model was trained with"
            )
    if tokenizer.padding_side != side:
        raise UserError(
            f"the tokenizer pads on the {tokenizer.padding_side}, so that a {family.name} model would read padding for "
            f'the [CLS] token; set padding_side to "{side}" in tokenizer_config.json'
        )


def _check_padding_side(tokenizer: Any, family: Family) -> None:
    """transformers counts positions from the left, padding included."""
    if family.learns_positions and tokenizer.padding_side != "right":
        raise UserError(
            f"the tokenizer pads on the {tokenizer.padding_side}, so that a {family.name} model would count the "
            "positions of a text from its padding, and answer it otherwise in other batches; set padding_side to "
            '"right" in tokenizer_config.json'
        )


def _check_largest_id(largest: int, config: Mapping[str, Any]) -> None:
    if largest >= config["vocab_size"]:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, but the model's vocab_size is {config['vocab_size']}: "
            "tokenizer and model do not belong together"
        )
