"""Tokens of texts with a label for each word.

The words of a text are joined by one blank each and tokenized as any text is, so that a model that is delivered answers
plain text as it answered here. A word is answered at its first token, the first that has a character of it; its other
tokens have no label. Where a tokenizer leaves nothing of a word, that is answered at the token before it.

A text of more tokens than fit is several examples, which overlap. Each of its words has a row in one of them only: the
one in which the nearer end of the example is furthest from it. Examples in which no word is answered are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.limits import TEXT_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

# Texts tokenized in one call.
CHUNK = 1000
# A part of a long text shares this share of its tokens with the part before it.
OVERLAP = 0.25
# Rows that a message lists.
MAX_ROWS = 10
# What a table's metadata say of long texts, as `shallower.sources.tasks` writes it.
LONG_TEXTS, REFUSE = b"long_texts", "refuse"


@dataclass(frozen=True)
class WordTokens:
    """The examples of texts of words.

    Attributes:
        input_ids, token_type_ids: of each example.
        texts: the text of each example, by its place in the table.
        places: of each word, in the order of the table, its example and the place of its token there.
        split_texts: texts that are several examples.
        lost_words: words that the tokenizer leaves nothing of.
    """

    input_ids: list[Sequence[int]]
    token_type_ids: list[Sequence[int]]
    texts: list[int]
    places: list[tuple[int, int]]
    split_texts: int
    lost_words: int


def tokenize_words(table: "pa.Table", tokenizer: "PreTrainedTokenizerBase", max_length: int, place: str) -> WordTokens:
    """Tokenize a table with the columns `text` and `words`, which comes from the file `place`.

    The table's metadata may say what becomes of texts of more than `max_length` tokens (`long_texts`): they are "split"
    or, if that is "refuse", refused. Raises UserError for such a text that is to be refused, and when the tokenizer
    leaves nothing of a text, both with the rows.
    """
    long_texts = (table.schema.metadata or {}).get(LONG_TEXTS, b"").decode()
    special = tokenizer.num_special_tokens_to_add(pair=False)
    stride = int(OVERLAP * (max_length - special))
    found = WordTokens([], [], [], [], 0, 0)
    split, lost, long_rows, empty_rows = 0, 0, [], []
    words, ids = table["words"].to_pylist(), table["id"].to_pylist()
    size = max(1, min(CHUNK, TEXT_BYTES // max(1, max(len(" ".join(each).encode()) for each in words))))
    for start in range(0, len(words), size):
        encoded = tokenizer(
            [" ".join(each) for each in words[start : start + size]],
            truncation=True,
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        parts: dict[int, list[int]] = {}
        for part, text in enumerate(encoded["overflow_to_sample_mapping"]):
            parts.setdefault(start + text, []).append(part)
        for text, own in parts.items():
            spans = [_spans(encoded["offset_mapping"][part], encoded["special_tokens_mask"][part]) for part in own]
            if not any(len(each) for each in spans):
                empty_rows.append(ids[text] + 1)
                continue
            if len(own) > 1:
                split += 1
                long_rows.append(ids[text] + 1)
            answered = answering_places(words[text], spans)
            lost += answered.lost
            used = {part: len(found.texts) + number for number, part in enumerate(sorted({*answered.parts}))}
            for part in used:
                found.input_ids.append(encoded["input_ids"][own[part]])
                found.token_type_ids.append(encoded["token_type_ids"][own[part]])
                found.texts.append(text)
            found.places.extend(
                (used[part], token) for part, token in zip(answered.parts, answered.tokens, strict=True)
            )
    if empty_rows:
        raise UserError(
            f"{place}: no token is left of the words in row {first_of(empty_rows)}: this tokenizer drops all their "
            "characters; correct or remove such rows"
        )
    if long_rows and long_texts == REFUSE:
        raise UserError(
            f"{place}: row {first_of(long_rows)} has more than the {max_length} tokens of train.max_length; raise it, "
            "shorten such rows, or write 'long_texts: split' into the task"
        )
    return WordTokens(found.input_ids, found.token_type_ids, found.texts, found.places, split, lost)


@dataclass(frozen=True)
class AnsweringPlaces:
    """Where the words of one text are answered: of each word the part of the text, and the place of its token there.

    `lost` counts the words of which there is no token.
    """

    parts: list[int]
    tokens: list[int]
    lost: int


def answering_places(words: Sequence[str], parts: Sequence[NDArray[np.int64]]) -> AnsweringPlaces:
    """Where each word of a text is answered, whose words are joined by one blank each.

    `parts` are the spans of characters [tokens, 3] of the tokens of each part: start, end and place in the part;
    special tokens have none. At least one part has a token.
    """
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    starts = ends - np.array([len(word) for word in words])
    text_parts = [number for number, spans in enumerate(parts) if len(spans)]
    found: list[tuple[int, int] | None] = []
    for start, end in zip(starts, ends, strict=True):
        best, best_distance = None, -1.0
        for number in text_parts:
            spans = parts[number]
            # Tokens are in the order of the text, so that those of a word are one after another.
            first = int(np.searchsorted(spans[:, 1], start, side="right"))
            if first == len(spans) or spans[first, 0] >= end:
                continue
            # A part may begin within a word, whose first token is then in the part before it.
            if spans[first, 0] > start and number != text_parts[0] and first == 0:
                continue
            left = np.inf if number == text_parts[0] else first
            right = np.inf if number == text_parts[-1] else len(spans) - 1 - first
            if min(left, right) > best_distance:
                best, best_distance = (number, int(spans[first, 2])), min(left, right)
        found.append(best)
    lost = sum(each is None for each in found)
    # Before the first token there may be none but [CLS]: the first one is taken.
    before = (text_parts[0], int(parts[text_parts[0]][0, 2]))
    places = []
    for each in found:
        before = before if each is None else each
        places.append(before)
    return AnsweringPlaces([part for part, _ in places], [token for _, token in places], lost)


def _spans(offsets: Sequence[tuple[int, int]], is_special: Sequence[int]) -> NDArray[np.int64]:
    """Spans of characters and places [tokens, 3] of the tokens of a text that have characters."""
    kept = [
        (start, end, place)
        for place, ((start, end), special) in enumerate(zip(offsets, is_special, strict=True))
        if end > start and not special
    ]
    return np.array(kept, np.int64).reshape(-1, 3)


def first_of(rows: Sequence[Any]) -> str:
    """The first of some rows, and how many more there are."""
    more = f" and {len(rows) - MAX_ROWS} more" * (len(rows) > MAX_ROWS)
    return ", ".join(map(str, rows[:MAX_ROWS])) + more


def flat_places(words: WordTokens) -> NDArray[np.int64]:
    """The token of each word among those of all examples one after another, ascending."""
    starts = np.cumsum([0, *map(len, words.input_ids)])
    return np.array([starts[example] + token for example, token in words.places], np.int64)


def word_labels(column: "pa.ChunkedArray") -> NDArray[Any]:
    """Labels [R] of all words, of a column of lists."""
    return column.combine_chunks().flatten().to_numpy().astype(np.int64)
