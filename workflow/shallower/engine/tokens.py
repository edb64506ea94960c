"""Tokenized examples: made once for each tokenizer and task, stored flat and unpadded in one safetensors file.

A file holds `input_ids` int32 [T] and, where any of them is not 0, `token_type_ids` int8 [T], for the T tokens of
all N rows one after another; `offsets` int64 [N + 1], where each of them starts and ends; `labels` [N], int64 for
whole numbers and float32 for others, NaN for texts without labels, or several numbers a text [N, numbers] as the
tables have them; `ids` int64 [N]; and, where examples belong together, `groups` int64 [N], the same in those of one
group. Of a test collection there are `judged` int64 [J, 2] and `grades` float32 [J]. Its metadata hold, as JSON, how to
pad, what the tokens were made of, and the SHA-256 of all this.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import canonical_json, write_bytes
from shallower.core.limits import TEXT_BYTES
from shallower.engine.words import first_of, flat_places, tokenize_words, word_labels

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# Texts tokenized in one call: enough to keep the tokenizer busy. Long texts are fewer (TEXT_BYTES), since a tokenizer
# makes all of a text into tokens, of some 200 bytes each, before it cuts it.
CHUNK = 1000


@dataclass(frozen=True)
class TokenSet:
    """The tokens of one split (see the module's text), with what padding needs to know."""

    input_ids: np.ndarray
    token_type_ids: np.ndarray | None
    offsets: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    max_length: int
    padding_side: str  # "left" or "right"
    pad_token_id: int
    pad_token_type_id: int
    cls_token_id: int | None  # None: of models that read the last token that is no padding, whatever it is
    truncated: int  # examples that were cut to max_length
    special: int = 0  # tokens of an example that are not of its texts: [CLS] and the like
    unknown: int | None = None  # tokens that stand for what the vocabulary lacks; None without such a token
    made_from: Mapping[str, Any] = field(default_factory=dict)  # what the tokens were made of, and by which versions
    pairs: int = 0  # of the rows the first ones, two by two, are the texts of so many pairs, with their ids and labels
    groups: np.ndarray | None = None  # which examples belong together (`shallower.evaluation.groups`), if any do
    places: np.ndarray | None = None  # the token of each row of labels, ascending; None: a row for each example
    split_texts: int | None = None  # of texts with a label for each word: those that are several examples
    lost_words: int | None = None  # of these texts: words that the tokenizer leaves nothing of
    queries: int = 0  # of a test collection: the rows of queries, the first ones; documents are behind them
    judged: np.ndarray | None = None  # of a collection: rows of queries and of documents [J, 2] that answer them
    grades: np.ndarray | None = None  # float32 [J], how well they do

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.offsets) - 1

    def rows(self, examples: np.ndarray) -> np.ndarray:
        """The rows of labels and answers [R] of examples, in their order: one each or, with `places`, one a word."""
        if self.places is None:
            return examples
        starts, counts = np.searchsorted(self.places, self.offsets[examples]), self.num_rows(examples)
        return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())

    def num_rows(self, examples: np.ndarray) -> np.ndarray:
        """How many rows each example has."""
        if self.places is None:
            return np.ones(len(examples), np.int64)
        return np.diff(np.searchsorted(self.places, [self.offsets[examples], self.offsets[examples + 1]]), axis=0)[0]

    @property
    def owners(self) -> np.ndarray:
        """The example of each row [R]."""
        if self.places is None:
            return np.arange(self.size)
        return np.searchsorted(self.offsets, self.places, side="right") - 1

    @property
    def num_examples(self) -> int:
        """Number of examples: a pair is one of them, and has two rows."""
        return self.size - self.pairs

    def units(self) -> np.ndarray:
        """Where each example starts among the rows, and the number of rows: a pair is two of them."""
        return np.concatenate([np.arange(0, 2 * self.pairs, 2), np.arange(2 * self.pairs, len(self.offsets))])


ARRAYS = ("input_ids", "token_type_ids", "offsets", "labels", "ids", "groups", "places", "judged", "grades")
# What the file of a kind of task without it does not mention.
OPTIONAL = ("split_texts", "lost_words")

# Entry of the file's metadata that holds everything else, as JSON.
METADATA = "padding"


def tokenize(
    table: "pa.Table",
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    vocab_size: int,
    position_limit: int | None = None,
    num_token_types: int | None = None,
    has_cls_token: bool = True,
    place: str = "the table",
) -> TokenSet:
    """Tokenize a task's table (columns id, text, [text_pair], [label], [group]), which comes from the file `place`.

    Inputs of more than `max_length` tokens lose tokens from the end of their longer text; with a column `words`, which
    has a label for each of them, they are split or refused (`shallower.engine.words`). For a model with
    one token type all are of type 0, whatever the tokenizer says, as in its own training (RoBERTa with a tokenizer of
    BERT's kind). Without `has_cls_token` the model reads the last token that is no padding.

    Raises UserError when the tokenizer lacks a padding or [CLS] token, when `max_length` leaves no room for each
    text, when a token id is not below `vocab_size` or a token type not below `num_token_types`, when an input is longer
    than `position_limit`, and, with the rows, when the tokenizer leaves nothing of a text.
    """
    texts_each = 2 if "text_pair" in table.column_names else 1
    special = tokenizer.num_special_tokens_to_add(pair=texts_each == 2)
    if max_length < (least := special + texts_each):
        raise UserError(f"train.max_length is {max_length}; this task and tokenizer need at least {least}")
    if texts_each == 2 and special == tokenizer.num_special_tokens_to_add(pair=False):
        logger.warning("the tokenizer puts no token between the two texts of a pair: the model reads them as one text")
    for name in ("pad_token_id", "cls_token_id") if has_cls_token else ("pad_token_id",):
        if getattr(tokenizer, name) is None:
            raise UserError(f"the tokenizer has no {name.removesuffix('_id')}; it does not suit classification")
    input_ids, token_type_ids, lengths, truncated = [], [], [], 0
    words = None
    if "words" in table.column_names:
        words = tokenize_words(table, tokenizer, max_length, place)
        input_ids = [np.array(ids, np.int32) for ids in words.input_ids]
        token_type_ids = [np.array(types, np.int8) for types in words.token_type_ids]
        lengths = [len(ids) for ids in words.input_ids]
    for texts in _chunks(table) if words is None else ():
        encoded = tokenizer(
            *texts,
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        # As arrays at once: numbers of Python's own take eight times the space.
        input_ids.append(np.fromiter(chain.from_iterable(encoded["input_ids"]), np.int32))
        token_type_ids.append(np.fromiter(chain.from_iterable(encoded["token_type_ids"]), np.int8))
        lengths += [len(ids) for ids in encoded["input_ids"]]
    flat_ids = np.concatenate([np.empty(0, np.int32), *input_ids])
    flat_types = np.concatenate([np.empty(0, np.int8), *token_type_ids])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nothing = np.array(lengths, np.int64) <= special
    if not has_cls_token:
        nothing |= _counts(flat_ids != tokenizer.pad_token_id, offsets) == 0
    rows = table["id"].to_numpy() if words is None else np.array(words.texts)
    if empty := (rows[nothing] + 1).tolist():
        found = f"in row {first_of(empty)}"
        if "name" in table.column_names:  # of a test collection
            found = first_of([repr(name) for name in table["name"].filter(nothing).to_pylist()])
        raise UserError(
            f"{place}: no token is left of the text {found}: this tokenizer drops all its characters; correct or "
            "remove such rows"
        )
    if (highest := int(flat_ids.max(initial=0))) >= vocab_size:
        raise UserError(
            f"token id {highest} is outside the model's vocabulary ({vocab_size} tokens); "
            "use the tokenizer that the model was trained with"
        )
    flat_types = _known_types(flat_types, num_token_types)
    if position_limit is not None and (longest := max(lengths, default=0)) > position_limit:
        raise UserError(
            f"train.max_length is {max_length} and an example has {longest} tokens, but the model has "
            f"{position_limit} positions; set max_length to {position_limit} or less"
        )
    ids = table.column("id").to_numpy().astype(np.int64)
    of_rows: dict[str, Any]
    if words is None:
        groups = table["group"].to_numpy().astype(np.int64) if "group" in table.column_names else None
        of_rows = {"labels": _labels(table), "ids": ids, "groups": groups}
    else:
        of_rows = {
            "labels": word_labels(table["label"]),
            "ids": np.arange(len(words.places)),
            "groups": np.repeat(ids, table["words"].combine_chunks().value_lengths().to_numpy()),
            "places": flat_places(words),
            "split_texts": words.split_texts,
            "lost_words": words.lost_words,
        }
    return TokenSet(
        input_ids=flat_ids,
        token_type_ids=flat_types if flat_types.any() else None,
        offsets=offsets,
        max_length=max_length,
        padding_side=tokenizer.padding_side,
        pad_token_id=tokenizer.pad_token_id,
        pad_token_type_id=tokenizer.pad_token_type_id,
        cls_token_id=tokenizer.cls_token_id if has_cls_token else None,
        truncated=truncated,
        special=special,
        unknown=None if (unknown := unknown_id(tokenizer)) is None else int((flat_ids == unknown).sum()),
        **of_rows,
    )


def each_text_by_itself(table: "pa.Table") -> tuple["pa.Table", dict[str, Any]]:
    """A task's table with a row a text, and what a token set of it has beyond the texts.

    The texts of a pair stand one after another, with its id and label; `pairs` is the number of pairs. Of a test
    collection (`shallower.sources.retrieval`) these are `queries`, `judged` and `grades`. Blanks around texts are
    removed, as sentence-transformers does.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    more: dict[str, Any] = {}
    if "documents" in table.column_names:
        documents, grades = (table[name].combine_chunks() for name in ("documents", "label"))
        sizes = documents.value_lengths().to_numpy()
        rows = np.repeat(np.arange(len(table)), sizes)
        more = {
            "queries": int((sizes > 0).sum()),
            "judged": np.stack([rows, documents.flatten().to_numpy()], axis=1).astype(np.int64),
            "grades": grades.flatten().to_numpy().astype(np.float32),
        }
        table = table.select(["id", "name", "text"])
    has_pairs = "text_pair" in table.column_names
    pairs = len(table) if has_pairs else 0
    if has_pairs:
        both = [table.drop_columns(["text_pair"]), table.drop_columns(["text"]).rename_columns({"text_pair": "text"})]
        order = np.arange(2 * pairs).reshape(2, pairs).T.ravel()
        table = pa.concat_tables([part.select(both[0].column_names) for part in both]).take(pa.array(order, pa.int64()))
    place = table.column_names.index("text")
    return table.set_column(place, "text", pc.utf8_trim_whitespace(table["text"])), {"pairs": pairs, **more}


def unknown_id(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The id of the token for what the vocabulary lacks; None without one.

    GPT-2's tokenizer gives the name to the token that ends texts, since there is nothing that its bytes cannot spell.
    """
    number: int | None = tokenizer.unk_token_id
    return None if number in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) else number


def _counts(flags: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How many of the flags [T] of each example are set, [N]."""
    return np.diff(np.concatenate([[0], np.cumsum(flags)])[offsets])


def _labels(table: "pa.Table") -> np.ndarray:
    """Labels [N, ...] of a table; NaN for each of its rows where it has none."""
    if "label" not in table.column_names:
        return np.full(len(table), np.nan, np.float32)
    from shallower.core.parquet import to_array

    labels = to_array(table.column("label"))
    if labels.ndim > 1:
        return labels
    return labels.astype(np.float32 if np.issubdtype(labels.dtype, np.floating) else np.int64)


def _chunks(table: "pa.Table") -> Iterator[list[list[str]]]:
    """The texts of consecutive rows by column: of at most `CHUNK` rows, and of `TEXT_BYTES` together or of one row."""
    import pyarrow.compute as pc

    names = [name for name in ("text", "text_pair") if name in table.column_names]
    ends = np.cumsum(sum(pc.binary_length(table[name]).to_numpy().astype(np.int64) for name in names))
    start = 0
    while start < len(table):
        before = ends[start - 1] if start else 0
        fitting = int(np.searchsorted(ends, before + TEXT_BYTES, side="right"))
        end = max(start + 1, min(start + CHUNK, fitting))
        yield [table[name].slice(start, end - start).to_pylist() for name in names]
        start = end


def text_figures(tokens: TokenSet) -> dict[str, int | None]:
    """What became of a split's texts: their number, their tokens, how many of these are unknown, how many were cut.

    Of texts with a label for each word also their words, how many of these the tokenizer leaves nothing of, and how
    many texts are several examples, whose tokens count as often as they occur.
    """
    figures = {
        "texts": tokens.size,
        "tokens": int(tokens.offsets[-1]) - tokens.special * tokens.size,
        "unknown_tokens": tokens.unknown,
        "cut_texts": tokens.truncated,
    }
    if tokens.places is None or tokens.groups is None:
        return figures
    texts = len(np.unique(tokens.groups))
    of_words = {"words": len(tokens.places), "lost_words": tokens.lost_words, "split_texts": tokens.split_texts}
    return figures | {"texts": texts} | of_words


# What two token sets must have in common to be one.
FORM = ("max_length", "padding_side", "pad_token_id", "pad_token_type_id", "cls_token_id", "special")


def with_unlabelled(labelled: TokenSet, unlabelled: TokenSet) -> TokenSet:
    """The examples of a token set, and after them texts without labels, tokenized in the same way.

    The ids of the latter are -1 - id, since those of both count rows of a file. In place of labels they have what no
    loss takes unnoticed: NaN or, among classes, -1, which is none. Groups are left out, since they are of use in
    scoring alone. What the tokens were made of is that of the labelled ones.

    Raises UserError where the two were not tokenized alike.
    """
    if differing := [name for name in FORM if getattr(labelled, name) != getattr(unlabelled, name)]:
        raise UserError(
            f"tokens with and without labels differ in {', '.join(differing)}; delete the folder of these tokens and "
            "run again"
        )
    both = (labelled, unlabelled)
    types = [
        np.zeros(len(tokens.input_ids), np.int8) if tokens.token_type_ids is None else tokens.token_type_ids
        for tokens in both
    ]
    shape = (len(unlabelled.labels), *labelled.labels.shape[1:])
    placeholder = np.nan if np.issubdtype(labelled.labels.dtype, np.floating) else -1
    return replace(
        labelled,
        input_ids=np.concatenate([tokens.input_ids for tokens in both]),
        token_type_ids=None if all(tokens.token_type_ids is None for tokens in both) else np.concatenate(types),
        offsets=np.concatenate([labelled.offsets, labelled.offsets[-1] + unlabelled.offsets[1:]]),
        labels=np.concatenate([labelled.labels, np.full(shape, placeholder, labelled.labels.dtype)]),
        ids=np.concatenate([labelled.ids, -1 - unlabelled.ids]),
        truncated=labelled.truncated + unlabelled.truncated,
        unknown=None if labelled.unknown is None else labelled.unknown + (unlabelled.unknown or 0),
        groups=None,
    )


def _known_types(types: np.ndarray, num_token_types: int | None) -> np.ndarray:
    """Token types that a model with so many has."""
    highest = int(types.max(initial=0))
    if num_token_types is None or highest < max(1, num_token_types):
        return types
    if num_token_types > 1:
        raise UserError(
            f"the tokenizer gives tokens the type {highest}, but the model has {num_token_types} token types "
            "(type_vocab_size in config.json); use the tokenizer that the model was trained with"
        )
    logger.warning("the tokenizer tells texts apart by token types, which the model does not: all are of type 0")
    return np.zeros_like(types)


def write_tokens(path: str | Path, tokens: TokenSet) -> None:
    """Write a token set as one safetensors file: the same bytes for the same content."""
    values = {field.name: getattr(tokens, field.name) for field in fields(TokenSet)}
    arrays = {name: np.ascontiguousarray(values[name]) for name in ARRAYS if values[name] is not None}
    padding = {
        name: value for name, value in values.items() if name not in ARRAYS and not (name in OPTIONAL and value is None)
    }
    for name in ("pairs", "queries"):  # as files without them have always been
        if not padding[name]:
            del padding[name]
    # One entry, since safetensors writes several ones in any order.
    write_bytes(path, save(arrays, {METADATA: canonical_json({**padding, "sha256": _digest(arrays, padding)})}))


def read_tokens(path: str | Path) -> TokenSet:
    """Read what `write_tokens` wrote.

    Raises UserError, naming the file, when it is broken or of another kind.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            padding = json.loads((file.metadata() or {})[METADATA])
        recorded = padding.pop("sha256")
        tokens = TokenSet(**{"token_type_ids": None, "groups": None, "places": None} | arrays | padding)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise corrupt_file_error(path, f"not a tokens file ({error})") from None
    if _digest(arrays, padding) != recorded:
        raise corrupt_file_error(path, "damaged: its content is not what was written")
    return tokens


def _digest(arrays: Mapping[str, np.ndarray], padding: Mapping[str, Any]) -> str:
    """SHA-256 of all that a tokens file holds."""
    shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    digest = hashlib.sha256(canonical_json({"arrays": shapes, "padding": padding}).encode("utf-8"))
    for name in sorted(arrays):
        digest.update(arrays[name].data)
    return digest.hexdigest()
