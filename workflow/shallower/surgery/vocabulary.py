"""Vocabulary trimming: a model and its tokenizer without the tokens that a task's training texts do not use.

Kept are the tokens that occur often enough, all special and added tokens, and the pieces that any text can be spelled
with, so that every text can still be tokenized. The weights of kept tokens stay the same, byte for byte; new ids are
dense, in the old order. No model is built and torch is not needed.

What holds (why is in `shallower.surgery.tokenizer_models`): a text whose tokens are all kept has the same tokens under
their new ids, and so the same logits. Any other text is spelled with shorter tokens, and has no more unknown ones if
the full vocabulary spells all of its own tokens, as trained ones do. How many answers change is measured.
Two trimmed models have the same tokens only if they were trimmed by the same folder (`trim_vocabulary`), which is why a
model's weights are trimmed by such a folder (`trim_model`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, sha256_of, write_json, write_text
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, MANIFEST, TOKENIZER_FILES, WEIGHTS
from shallower.models.sentence_embedding import complete_folder
from shallower.models.weight_files import copy_tensors, header, weight_files
from shallower.surgery.token_ids import (
    renumbered_config,
    renumbered_settings,
    renumbered_tokenizer,
    special_ids,
    vocabulary_size,
)
from shallower.surgery.tokenizer_models import tokenizer_model

# What was kept, in a folder of a trimmed tokenizer.
VOCABULARY = "vocabulary.json"
# Entry in the manifest of a trimmed model: SHA-256 of the weight files that it was made of.
TRIMMED_FROM = "vocabulary_trimmed_from"

TOKENIZER, SETTINGS = TOKENIZER_FILES


@dataclass(frozen=True)
class Folder:
    """What a model's folder says of its tokens: tokenizer.json, tokenizer_config.json and config.json."""

    tokenizer: Mapping[str, Any]
    settings: Mapping[str, Any]
    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> "Folder":
        """Raises UserError when a file is missing or damaged."""
        return cls(*(read_json(Path(folder) / name) for name in (TOKENIZER, SETTINGS, CONFIG)))

    def renumbered(self, new_ids: Mapping[int, int]) -> "Folder":
        """The same of the tokens with a new id. Raises UserError for what holds ids and is not supported."""
        return Folder(
            renumbered_tokenizer(self.tokenizer, new_ids),
            renumbered_settings(self.settings, tokenizer_model(self.tokenizer), new_ids),
            renumbered_config(self.config, new_ids),
        )


def kept_ids(folder: Folder, counts: Mapping[int, int], minimum_count: int) -> dict[str, list[int]]:
    """Ids of the tokens to keep, ascending, by the first reason that there is.

    `counts` says how often each token occurs in the training texts. Reasons: `special` (named or added tokens, and what
    must stay for them to keep their place), `spelling` (single characters and bytes), `unspelled` (tokens that these do
    not spell), `used` (tokens that occur at least `minimum_count` times), `needed` (what kept tokens are made of).

    Raises UserError when `minimum_count` is below 1, when counts are of ids without a token, and for a tokenizer that
    cannot be trimmed.
    """
    if minimum_count < 1:
        raise UserError(
            f"minimum_count is {minimum_count}; it must be at least 1, which keeps all tokens that are used"
        )
    model = tokenizer_model(folder.tokenizer)
    special = special_ids(folder.tokenizer, folder.settings, folder.config, model)
    family = family_of(folder.config)
    if family.positions_after_padding:
        # Positions are counted from its id, which must therefore stay as it is.
        special |= model.tokens.keys() & range(family.padding_id(folder.config) or 0)
    if strangers := sorted(counts.keys() - model.tokens.keys() - special):
        raise UserError(f"the counted tokens have the id {strangers[0]}, which no token of tokenizer.json has")
    reasons = {
        "special": special,
        "spelling": model.spelling_ids(),
        "unspelled": model.unspelled_ids(),
        "used": {number for number, count in counts.items() if count >= minimum_count},
    }
    reasons["needed"] = model.needed_ids(set().union(*reasons.values()))
    kept: dict[str, list[int]] = {}
    seen: set[int] = set()
    for reason, numbers in reasons.items():
        kept[reason] = sorted(numbers - seen)
        seen |= numbers
    return kept


def trim_vocabulary(
    model_dir: str | Path,
    counts: Mapping[int, int],
    minimum_count: int,
    output_dir: str | Path,
    made_from: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write a model's tokenizer without the tokens that are not to be kept (`kept_ids`), and return vocabulary.json.

    Written are tokenizer.json, tokenizer_config.json, config.json (the model's, with the new vocabulary), a
    manifest.json with their SHA-256, and vocabulary.json:

    - `kept`: old ids of the kept tokens in the order of their new ids, as ranges, such as "0 100-103 999-1012";
    - `size_before`, `size_after`: rows of the matrix of word embeddings;
    - `kept_for`: how many tokens are kept for which reason;
    - `minimum_count`, `counted_tokens`: the setting, and how many tokens of the training texts were counted;
    - `sha256`: of the files that the tokenizer was made of, with those in `made_from` (by name).

    Raises UserError as `kept_ids` does, and when the folders are the same.
    """
    model_dir, output_dir = Path(model_dir), Path(output_dir)
    _check_folders(model_dir, output_dir)
    folder = Folder.read(model_dir)
    try:
        reasons = kept_ids(folder, counts, minimum_count)
        kept = sorted(number for numbers in reasons.values() for number in numbers)
        trimmed = folder.renumbered(new_ids_of(kept))
    except UserError as error:
        raise UserError(f"{model_dir}: {error}") from error
    record = {
        "kept": " ".join(_in_words(part) for part in as_ranges(kept)),
        "size_before": vocabulary_size(folder.config),
        "size_after": vocabulary_size(trimmed.config),
        "kept_for": {reason: len(numbers) for reason, numbers in reasons.items()},
        "minimum_count": minimum_count,
        "counted_tokens": sum(counts.values()),
        "sha256": {name: sha256_of(model_dir / name) for name in (*TOKENIZER_FILES, CONFIG)} | dict(made_from or {}),
    }
    # On one line: indented, half of the file would be blanks.
    write_text(output_dir / TOKENIZER, canonical_json(trimmed.tokenizer) + "\n")
    write_json(output_dir / SETTINGS, trimmed.settings)
    write_json(output_dir / CONFIG, trimmed.config)
    write_json(output_dir / VOCABULARY, record)
    _write_manifest(output_dir, (*TOKENIZER_FILES, CONFIG, VOCABULARY))
    return record


def read_kept(trimmed_dir: str | Path) -> list[int]:
    """Old ids of the kept tokens in the order of their new ids, from the vocabulary.json of a trimmed tokenizer."""
    kept: list[int] = []
    for part in read_json(Path(trimmed_dir) / VOCABULARY)["kept"].split():
        first, _, last = part.partition("-")
        kept += range(int(first), int(last or first) + 1)
    return kept


def trim_model(model_dir: str | Path, trimmed_dir: str | Path, output_dir: str | Path) -> None:
    """Write a fine-tuned model with a trimmed vocabulary, as a complete folder for plain `from_pretrained`.

    `trimmed_dir` is what `trim_vocabulary` made of the same tokenizer. Configuration and weights are the model's own,
    but for the vocabulary. The manifest holds the SHA-256 of the files and of the weights that they were made of.

    Raises UserError when the model's tokenizer is another one, when its vocabulary has another size, and as
    `trim_weights` does.
    """
    model_dir, trimmed_dir, output_dir = Path(model_dir), Path(trimmed_dir), Path(output_dir)
    _check_folders(model_dir, output_dir)
    record = read_json(trimmed_dir / VOCABULARY)
    for name in TOKENIZER_FILES:
        if not (model_dir / name).is_file() or sha256_of(model_dir / name) != record["sha256"][name]:
            raise UserError(
                f"{model_dir / name}: not the tokenizer that {trimmed_dir} was made of; trim the model's own tokenizer"
            )
    config = read_json(model_dir / CONFIG)
    kept, files = read_kept(trimmed_dir), weight_files(model_dir)
    try:
        if (size := vocabulary_size(config)) != record["size_before"]:
            raise UserError(f"the vocabulary has {size} tokens, but that in {trimmed_dir} had {record['size_before']}")
        trimmed = renumbered_config(config, new_ids_of(kept))
        trim_weights(files, config, kept, output_dir / WEIGHTS)
    except UserError as error:
        raise UserError(f"{model_dir}: {error}") from error
    write_json(output_dir / CONFIG, trimmed)
    complete_folder(trimmed_dir, output_dir)
    made_of = {TRIMMED_FROM: [sha256_of(file) for file in files]}
    _write_manifest(output_dir, (*TOKENIZER_FILES, CONFIG, WEIGHTS), made_of)


def trim_weights(sources: Sequence[Path], config: Mapping[str, Any], kept: Sequence[int], target: str | Path) -> None:
    """Write weights with only the rows of kept tokens in the matrix of word embeddings; all else stays the same.

    `config` is the content of the full model's config.json, `kept` are old ids, ascending. Rows are copied as bytes.

    Raises UserError when there is not one such matrix with a row for each token, and for any other tensor that has
    the size of the vocabulary, as the head of a language model does.
    """
    family, size = family_of(config), vocabulary_size(config)
    shapes = {name: entry["shape"] for file in sources for name, entry in header(file).items()}
    matrices = [name for name in shapes if f".{name}".endswith(f".{family.word_embeddings}")]
    if len(matrices) != 1:
        found = ", ".join(matrices) or "none"
        raise UserError(f"the weights must have one matrix of word embeddings ({family.word_embeddings}), not {found}")
    (matrix,) = matrices
    if shapes[matrix][0] != size:
        raise UserError(f"{matrix} has {shapes[matrix][0]} rows, but config.json states a vocab_size of {size}")
    known = {variant for variants, _ in expected_tensors(config).values() for variant in variants}
    for name, shape in shapes.items():
        if size in shape and name not in {matrix, *known} and family.within_any_layer(name) is None:
            raise UserError(
                f"{name} has the size of the vocabulary ({size}), and trimming does not know what it is; only "
                "classifiers can be trimmed: fine-tune the model first"
            )
    rows = as_ranges(number for number in kept if number < size)
    copy_tensors(sources, target, rows={matrix: rows})


def new_ids_of(kept: Sequence[int]) -> dict[int, int]:
    """New ids by the old ones of the kept tokens, which are ascending."""
    return {old: new for new, old in enumerate(kept)}


def as_ranges(numbers: Iterable[int]) -> list[range]:
    """Ascending numbers as ranges of consecutive ones."""
    ordered = list(numbers)
    starts = [0, *(place for place, (one, next_one) in enumerate(pairwise(ordered), 1) if next_one != one + 1)]
    ends = [*starts[1:], len(ordered)]
    return [range(ordered[start], ordered[end - 1] + 1) for start, end in zip(starts, ends, strict=True) if ordered]


def _in_words(numbers: range) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _check_folders(source: Path, target: Path) -> None:
    if source.resolve() == target.resolve():
        raise UserError(f"{target}: the trimmed model would replace the one it is made of; name another folder")


def _write_manifest(folder: Path, names: Iterable[str], made_of: Mapping[str, Any] | None = None) -> None:
    write_json(folder / MANIFEST, {**(made_of or {}), "sha256": {name: sha256_of(folder / name) for name in names}})
