"""What each kind of tokenizer needs to keep, worked out by hand on vocabularies of a few tokens."""

import random

import pytest
from tokenizers import Tokenizer, models

from shallower.core.errors import UserError
from shallower.surgery.tokenizer_models import tokenizer_model


def model_of(**content):
    return tokenizer_model({"model": content})


def tokens_of(content: dict, text: str) -> list[str]:
    """By the tokenizers library."""
    match content["type"]:
        case "WordPiece":
            model = models.WordPiece(content["vocab"], unk_token="?", max_input_chars_per_word=100)
        case "BPE":
            merges = [tuple(merge) for merge in content["merges"]]
            model = models.BPE(vocab=content["vocab"], merges=merges)
        case "Unigram":
            vocabulary = [tuple(entry) for entry in content["vocab"]]
            model = models.Unigram(vocabulary, unk_id=content["unk_id"])
    return Tokenizer(model).encode(text).tokens


def dense(numbers) -> dict[int, int]:
    return {old: new for new, old in enumerate(sorted(numbers))}


def byte_pairs(merges) -> dict:
    tokens = ["a", "b", "c", "d", "bc", "ab", "abc", "cd", "abcd"]
    return {"type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges}


def test_merges_on_the_way_to_a_kept_token_stay_and_others_go():
    # "abcd" is made of ab, then abc; "bc" leads to "abc" too, but comes later and never does; cd is on no way.
    merges = [["a", "b"], ["ab", "c"], ["b", "c"], ["a", "bc"], ["abc", "d"], ["c", "d"], ["ab", "cd"]]
    model = model_of(**byte_pairs(merges))
    ids = {token: number for number, token in model.tokens.items()}

    needed = model.needed_ids({ids["abcd"]})
    kept = needed | model.spelling_ids()
    trimmed = model.renumbered(dense(kept))

    assert needed == {ids["ab"], ids["abc"], ids["abcd"]}
    assert trimmed["vocab"] == {"a": 0, "b": 1, "c": 2, "d": 3, "ab": 4, "abc": 5, "abcd": 6}
    assert trimmed["merges"] == [["a", "b"], ["ab", "c"], ["abc", "d"]]
    assert tokens_of(trimmed, "abcd") == tokens_of(byte_pairs(merges), "abcd") == ["abcd"]
    assert tokens_of(byte_pairs(merges), "cd") == ["cd"] and tokens_of(trimmed, "cd") == ["c", "d"]


def test_merges_may_be_strings():
    model = model_of(**byte_pairs(["a b", "ab c", "b c"]))

    assert model.renumbered(dense({0, 1, 2, 5, 6}))["merges"] == ["a b", "ab c"]


def test_a_token_that_no_merges_lead_to_needs_none():
    assert model_of(**byte_pairs([["b", "c"]])).needed_ids({6}) == set()  # abc


def test_prefixes_and_suffixes_of_subwords_are_part_of_a_character():
    merges = {"merges": [], "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>"}
    model = model_of(type="BPE", vocab={"a": 0, "##b": 1, "##c</w>": 2, "a##": 3, "ab": 4, "abc</w>": 5}, **merges)

    assert model.spelling("abc</w>") == ["a", "##b", "##c</w>"]
    assert model.spelling("##bc") == ["##b", "##c"]
    assert model.spelling_ids() == {0, 1, 2}
    # "a##" would need "###", all others are spelled.
    assert model.unspelled_ids() == {3}


def test_the_lowest_score_is_kept_as_it_decides_what_unknown_characters_cost():
    vocabulary = [["<unk>", 0.0], ["ab", -14.0], ["c", -14.0], ["bc", -1.0], ["z", -5.0], ["zz", -30.0]]
    content = {"type": "Unigram", "vocab": vocabulary, "unk_id": 0}
    model = model_of(**content)
    used = {1, 2, 3, 4, 0}

    assert model.needed_ids(used) == {5}
    # With "zz" an unknown "a" costs 40 and ab + c, at 28, wins; without it 24, so that <unk> + bc would win at 25.
    whole, without = (model.renumbered(dense(kept)) for kept in (used | {5}, used))
    assert tokens_of(content, "abc") == tokens_of(whole, "abc") == ["ab", "c"]
    assert tokens_of(without, "abc") == ["a", "bc"]


def test_pieces_of_one_character_stay_also_at_the_start_of_words():
    vocabulary = [["ab", -1.0], ["▁", -2.0], ["▁a", -3.0], ["a", -4.0], ["<unk>", 0.0], ["▁ab", -5.0]]
    model = model_of(type="Unigram", vocab=vocabulary, unk_id=4)

    assert model.spelling_ids() == {1, 2, 3}
    assert model.unspelled_ids() == {0, 4, 5}  # there is no "b"
    assert model.renumbered({3: 0, 4: 1})["unk_id"] == 1


def test_bytes_stay_and_spell_everything_where_a_model_falls_back_on_them():
    pieces = [["<unk>", 0.0], *([f"<0x{byte:02X}>", -9.0] for byte in range(256)), ["ab", -1.0]]
    with_bytes = model_of(type="Unigram", vocab=pieces, unk_id=0, byte_fallback=True)
    without = model_of(type="Unigram", vocab=pieces, unk_id=0, byte_fallback=False)

    assert with_bytes.spelling_ids() == set(range(1, 257)) and with_bytes.unspelled_ids() == set()
    assert without.spelling_ids() == set() and 257 in without.unspelled_ids()


def test_a_model_that_chooses_merges_by_chance_is_refused():
    with pytest.raises(UserError, match="dropout"):
        model_of(**byte_pairs([]), dropout=0.1)


def test_older_files_without_the_kind_are_understood():
    content = byte_pairs([["a", "b"]])
    del content["type"]
    assert type(tokenizer_model({"model": content})).__name__ == "BytePair"
    with pytest.raises(UserError, match="kind None"):
        model_of(vocab={"a": 0}, unk_token="a")


def random_model(kind: str, source: random.Random) -> dict:
    """A small vocabulary over three letters, in which many tokens are made in several ways and scores are equal."""
    letters = "abc"
    if kind == "BPE":
        tokens, merges = list(letters), []
        for _ in range(source.randint(3, 14)):
            pair = [source.choice(tokens), source.choice(tokens)]
            if pair not in merges:
                merges.append(pair)
                tokens += ["".join(pair)] * ("".join(pair) not in tokens)
        return {"type": kind, "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges}
    words = {"".join(source.choices(letters, k=source.randint(2, 4))) for _ in range(source.randint(3, 14))}
    if kind == "Unigram":
        scores = [["<unk>", 0.0], *([piece, -source.randint(1, 4) / 2] for piece in [*letters, *sorted(words)])]
        return {"type": kind, "vocab": scores, "unk_id": 0}
    tokens = ["?", *letters, *(f"##{letter}" for letter in letters), *sorted(words), *sorted(f"##{w}" for w in words)]
    form = {"unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    return {"type": kind, "vocab": {token: number for number, token in enumerate(tokens)}, **form}


@pytest.mark.parametrize("kind", ["WordPiece", "BPE", "Unigram"])
def test_texts_whose_tokens_are_kept_have_the_same_ones_in_any_vocabulary(kind):
    source = random.Random(0)
    same, changed = 0, 0
    for _ in range(300):
        content = random_model(kind, source)
        model = model_of(**content)
        ids = {token: number for number, token in model.tokens.items()}
        text, other = ("".join(source.choices("abcx", [9, 9, 9, 1], k=source.randint(1, 12))) for _ in range(2))
        used = {ids[token] for token in tokens_of(content, text) if token in ids}
        kept = used | model.spelling_ids() | {number for number in [model.unknown_id()] if number is not None}
        trimmed = model.renumbered(dense(kept | model.needed_ids(kept)))

        assert tokens_of(trimmed, text) == tokens_of(content, text), (content, text)
        before, after = tokens_of(content, other), tokens_of(trimmed, other)
        assert after.count("?") == before.count("?") and after.count("x") == before.count("x"), (content, other)
        if {ids[token] for token in before if token in ids} <= kept:
            assert after == before, (content, other)
            same += 1
        else:
            changed += 1
    assert min(same, changed) > 50
