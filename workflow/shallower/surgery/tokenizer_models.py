"""The models of fast tokenizers, as the entry "model" of a tokenizer.json holds them, and how each loses tokens.

A model that keeps what `spelling_ids` and `needed_ids` name makes the same tokens of every text whose tokens are all
kept, and as many unknown ones of every text where its vocabulary spells all its own tokens (`unspelled_ids` is empty).
Why, for each model, is in its class; the tests try both on random texts.

Source of the algorithms: the models of https://github.com/huggingface/tokenizers (0.23).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from itertools import pairwise
from typing import Any, ClassVar

from shallower.core.errors import UserError

# How a vocabulary with byte fallback writes a byte of a character that it lacks.
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
NUM_BYTES = 256
# What SentencePiece writes for the blank before a word.
WORD_START = "▁"


class TokenizerModel(ABC):
    """One kind of model. `content` is the entry of the tokenizer.json; ids are those of the vocabulary.

    Raises UserError when the entry holds a setting that is not known here, or no vocabulary with one id a token.
    """

    settings: ClassVar[frozenset[str]]

    def __init__(self, content: Mapping[str, Any]) -> None:
        if unknown := sorted(set(content) - self.settings - {"type", "vocab"}):
            raise UserError(f"tokenizer.json: the model's setting {unknown[0]!r} is not supported by trimming")
        self.content = content
        self.tokens = self._tokens()
        self.known = frozenset(self.tokens.values())

    @abstractmethod
    def _tokens(self) -> dict[int, str]:
        """The vocabulary: tokens by id."""

    @abstractmethod
    def renumbered(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """The entry with only the tokens that have a new id (dense, in the old order)."""

    def spelling(self, token: str) -> list[str]:
        """The pieces of one character each that spell a token."""
        prefix = self.content.get("continuing_subword_prefix") or ""
        suffix = self.content.get("end_of_word_suffix") or ""
        first = prefix if prefix and token.startswith(prefix) and token != prefix else ""
        last = suffix if suffix and token.endswith(suffix) and token != suffix else ""
        characters = token[len(first) : len(token) - len(last)]
        pieces = [(prefix if place else first) + character for place, character in enumerate(characters)]
        return [*pieces[:-1], pieces[-1] + last] if pieces else []

    def is_spelling(self, token: str) -> bool:
        """Whether other tokens, or characters that the vocabulary lacks, are spelled with a token."""
        return self.spelling(token) == [token] or self._is_byte(token)

    def spelling_ids(self) -> set[int]:
        """Ids of the tokens that any text can be spelled with: single characters and bytes."""
        return {number for number, token in self.tokens.items() if self.is_spelling(token)}

    def unspelled_ids(self) -> set[int]:
        """Ids of the tokens with a character that is no token itself.

        Without them their texts would have unknown tokens, so that they are kept. Trained vocabularies have none.
        """
        if self._spells_bytes():
            return set()
        return {
            number
            for number, token in self.tokens.items()
            if not all(piece in self.known for piece in self.spelling(token))
        }

    def needed_ids(self, kept: Set[int]) -> set[int]:
        """Ids of what else must stay for kept tokens to be found as before."""
        return set()

    def unknown_id(self) -> int | None:
        """The id of the token for what the vocabulary lacks."""
        name = self.content.get("unk_token")
        return next((number for number, token in self.tokens.items() if token == name), None)

    def _is_byte(self, token: str) -> bool:
        return bool(self.content.get("byte_fallback")) and BYTE.fullmatch(token) is not None

    def _spells_bytes(self) -> bool:
        return sum(map(self._is_byte, self.known)) == NUM_BYTES

    def _tokens_by_name(self) -> dict[int, str]:
        vocabulary = self.content.get("vocab")
        if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
            raise UserError("tokenizer.json: 'vocab' of the model is not a mapping from tokens to ids")
        tokens = {number: token for token, number in vocabulary.items()}
        if len(tokens) < len(vocabulary):
            raise UserError("tokenizer.json: two tokens of the model have the same id, which trimming does not support")
        return tokens

    def _renumbered_names(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        names = {token: new_ids[number] for number, token in sorted(self.tokens.items()) if number in new_ids}
        return {**self.content, "vocab": names}


class WordPiece(TokenizerModel):
    """At each place of a word the longest token that fits (BERT); a word with a place where none fits is unknown.

    The longest of all tokens is the longest of the kept ones where it is kept. A word is unknown when it has a
    character without a token, before and after, where all tokens are spelled by others.
    """

    settings = frozenset({"unk_token", "continuing_subword_prefix", "max_input_chars_per_word"})

    def _tokens(self) -> dict[int, str]:
        return self._tokens_by_name()

    def renumbered(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        return self._renumbered_names(new_ids)


class BytePair(TokenizerModel):
    """Characters or bytes of a word, of which neighbours are merged, by the first merge in the list that fits (BPE).

    All tokens that lead to a kept one are kept. Of a text whose tokens are kept, no merge that was made is missing, and
    others only became fewer, so that at each step the first that fits is the same. Unknown are characters only, and
    all of these stay.
    """

    settings = frozenset(
        {
            "dropout",
            "unk_token",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "fuse_unk",
            "byte_fallback",
            "ignore_merges",
            "merges",
        }
    )

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        if content.get("dropout"):
            raise UserError("tokenizer.json: a model with 'dropout' makes other tokens each time; set it to null")
        prefix = content.get("continuing_subword_prefix") or ""
        pairs = [self._pair(merge) for merge in content["merges"]]
        # What each pair becomes, in the order in which pairs are merged.
        self.results = {pair: pair[0] + pair[1][len(prefix) :] for pair in pairs}
        self.ranks = {pair: rank for rank, pair in enumerate(pairs)}

    def _tokens(self) -> dict[int, str]:
        return self._tokens_by_name()

    def needed_ids(self, kept: Set[int]) -> set[int]:
        numbers = {token: number for number, token in self.tokens.items()}
        return {numbers[way] for number in kept if number in self.tokens for way in self._way_to(self.tokens[number])}

    def _way_to(self, token: str) -> set[str]:
        """The tokens that merging makes on the way to a token, itself included; none if no merges lead to it.

        They are the same within a longer word: a merge across the token's ends would make another token of it, and
        what is merged elsewhere does not change which pair of the token comes first.
        """
        parts, found = self.spelling(token), set()
        while len(parts) > 1:
            pairs = enumerate(pairwise(parts))
            fitting = [(self.ranks[pair], place) for place, pair in pairs if pair in self.ranks]
            if not fitting:
                return set()
            _, place = min(fitting)
            merged = self.results[parts[place], parts[place + 1]]
            parts[place : place + 2] = [merged]
            found.add(merged)
        return found

    def renumbered(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        content = self._renumbered_names(new_ids)
        kept = content["vocab"].keys()

        def stays(merge: Any) -> bool:
            pair = self._pair(merge)
            return {*pair, self.results[pair]} <= kept

        return {**content, "merges": [merge for merge in self.content["merges"] if stays(merge)]}

    @staticmethod
    def _pair(merge: Any) -> tuple[str, str]:
        """A merge's two parts; older files write them as one string."""
        first, second = merge.split(" ") if isinstance(merge, str) else merge
        return first, second


class Unigram(TokenizerModel):
    """The pieces of a text with the highest sum of scores (SentencePiece); a character without a piece is unknown.

    The best of all ways to cut a text is the best of the kept ones where its pieces are kept, given that scores stay as
    they are: also that of an unknown character, which is the lowest score of all pieces less 10. So a piece with the
    lowest score is kept. Characters without a piece are in no other piece either, where all pieces are spelled by
    others, and unknown before and after.
    """

    settings = frozenset({"unk_id", "byte_fallback"})

    def _tokens(self) -> dict[int, str]:
        vocabulary = self.content.get("vocab")
        if not isinstance(vocabulary, list) or not all(isinstance(entry, list) for entry in vocabulary):
            raise UserError("tokenizer.json: 'vocab' of the model is not a list of pieces with their scores")
        return {number: piece for number, (piece, _) in enumerate(vocabulary)}

    def is_spelling(self, token: str) -> bool:
        """Whether a piece is a single character, also one that starts a word, or a byte."""
        return super().is_spelling(token) or (token[:1] == WORD_START and len(token) == 2)

    def needed_ids(self, kept: Set[int]) -> set[int]:
        scores = [score for _, score in self.content["vocab"]]
        lowest = min(scores)
        at_lowest = {number for number, score in enumerate(scores) if score == lowest}
        return set() if at_lowest & kept else {min(at_lowest)}

    def unknown_id(self) -> int | None:
        return self.content.get("unk_id")

    def renumbered(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        pieces = [entry for number, entry in enumerate(self.content["vocab"]) if number in new_ids]
        unknown = self.unknown_id()
        return {**self.content, "vocab": pieces, "unk_id": None if unknown is None else new_ids[unknown]}


MODELS: dict[str, type[TokenizerModel]] = {"WordPiece": WordPiece, "BPE": BytePair, "Unigram": Unigram}


def tokenizer_model(tokenizer: Mapping[str, Any]) -> TokenizerModel:
    """The model in the content of a tokenizer.json.

    Raises UserError when it is of a kind that cannot be trimmed, and as `TokenizerModel` does.
    """
    content = tokenizer.get("model")
    if not isinstance(content, dict):
        raise UserError("tokenizer.json: no 'model'; use the tokenizer.json of a fast tokenizer")
    kind = content.get("type") or _kind_without_name(content)
    if kind not in MODELS:
        raise UserError(
            f"tokenizer.json: a tokenizer of kind {kind!r} cannot be trimmed, only one of {', '.join(MODELS)}; "
            "leave the vocabulary of this model full"
        )
    return MODELS[kind](content)


def _kind_without_name(content: Mapping[str, Any]) -> str | None:
    """The kind of a model whose file does not say it, as older ones, by what it holds."""
    if "merges" in content:
        return "BPE"
    if "max_input_chars_per_word" in content:
        return "WordPiece"
    return "Unigram" if isinstance(content.get("vocab"), list) else None
