"""What may be wrong with texts and stops nothing: unknown tokens, cut texts, rows that are in both splits.

Also, in words, what becomes of texts without labels.

tokenize_task writes `FILE`, with the figures of each split for a model: `texts`, `tokens` of these without [CLS] and
the like, `unknown_tokens` of these (None for a tokenizer without an unknown token) and `cut_texts`; of texts with a
label for each word also `words`, `lost_words` of these, which have no token, and `split_texts`. download_task
writes `repeats` into a task's manifest.json (see `shallower.sources.repeats`), compare_texts those of test rows into
`shallower.core.layout.TEST_TEXTS`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shallower.core.layout import CALIBRATION, SPLITS, TEST

FILE = "texts.json"
# Why rows without labels are left out, in the order of precedence: their texts are in a split, or in an earlier row.
REPEATED = "repeated"
LEFT_OUT = {
    TEST: "with texts of test rows",
    "validation": "with texts of validation rows",
    CALIBRATION: "with texts of calibration rows",
    "train": "with texts of training rows",
    REPEATED: "that repeat an earlier one",
}
# What is wrong with test rows whose texts another split has.
TEST_IN = {
    "train": "training rows, which models may know by heart",
    CALIBRATION: "calibration rows, by which layers are chosen",
    "validation": "validation rows, by which models are chosen",
}

Figures = Mapping[str, Mapping[str, Any]]


def percentage(part: int | None, whole: int) -> float | None:
    """A part in per cent; None where it is not known, or there is nothing that it could be of."""
    return 100.0 * part / whole if part is not None and whole else None


def unknown_percent(split: Mapping[str, Any]) -> float | None:
    """Share of the tokens of a split's texts that are unknown to the model's vocabulary, in per cent."""
    return percentage(split["unknown_tokens"], split["tokens"])


def cut_percent(split: Mapping[str, Any]) -> float | None:
    """Share of a split's texts that were cut, in per cent."""
    return percentage(split["cut_texts"], split["texts"])


def lost_percent(split: Mapping[str, Any]) -> float | None:
    """Share of the words of a split that have no token, in per cent; None where words have no labels."""
    return percentage(split["lost_words"], split["words"]) if "words" in split else None


def token_warnings(
    model: str, task: str, figures: Figures, max_length: int, limits: Mapping[str, float]
) -> Iterator[str]:
    """What is to be said, with a remedy, of a model's tokens where a share is above its limit."""
    for split in (split for split in (*SPLITS, TEST) if split in figures):
        unknown, cut, lost = (percent_of(figures[split]) for percent_of in (unknown_percent, cut_percent, lost_percent))
        if unknown is not None and unknown > limits["unknown_tokens"]:
            yield (
                f"{model} on {task}: {unknown:.1f} % of the tokens of the {split} texts are unknown to the model; check"
                " that the tokenizer is the model's own, in a language that it knows, and that it lower-cases texts"
                " (do_lower_case) for an uncased vocabulary only"
            )
        if lost is not None and lost > limits["unknown_tokens"]:
            yield (
                f"{model} on {task}: {lost:.1f} % of the words of the {split} texts have no token, since the tokenizer "
                "drops all their characters; each is answered at the token before it: check the file's encoding, and "
                "that the tokenizer is the model's own"
            )
        if cut is not None and cut > limits["cut_texts"]:
            yield (
                f"{model} on {task}: {cut:.1f} % of the {split} texts are cut to {max_length} tokens; raise"
                " train.max_length, unless their beginning says enough"
            )


def repeat_warnings(
    task: str, repeats: Mapping[str, Any], rows: Mapping[str, int], limits: Mapping[str, float]
) -> Iterator[str]:
    """What is to be said, with a remedy, of rows that several splits have, above the limit of their share.

    These are validation rows that are training rows, and test rows that are rows of any other split.
    """
    # Of a collection its queries alone.
    rows = {**rows, **repeats.get("compared", {})}
    compared = rows["validation"]
    common = percentage(repeats["validation_in_train"], compared)
    if common is not None and common > limits["common_rows"]:
        yield (
            f"{task}: {repeats['validation_in_train']:,} of {compared:,} validation rows ({common:.1f} %)"
            " have the texts of training rows, which models may know by heart; remove these rows from one of the splits"
        )
    for split, reason in TEST_IN.items():
        common = repeats.get(f"{TEST}_in_{split}", 0)
        share = percentage(common, rows.get(TEST, 0))
        if share is not None and share > limits["common_rows"]:
            yield (
                f"{task}: {common:,} of {rows[TEST]:,} test rows ({share:.1f} %) have the texts of {reason}; remove "
                "these rows from one of the splits"
            )


def unlabelled_in_words(counts: Mapping[str, int]) -> str:
    """What became of the rows of a file without labels (see `shallower.sources.unlabelled.left_over`)."""
    reasons = [f"{counts[reason]:,} {words}" for reason, words in LEFT_OUT.items() if counts.get(reason)]
    why = f": {', '.join(reasons)}" if reasons else ""
    return f"{counts['read']:,} rows read, {counts['read'] - counts['left']:,} were left out{why}"
