"""Tiny configurations and tokenizers of every family: one entry of `TINY` for each entry of the library's table."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiny_decoders import DECODERS
from tiny_words import MAX_LENGTH, WORDS

USUAL = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}


@dataclass(frozen=True)
class TinyFamily:
    """How tiny models of a family are made.

    Attributes:
        config: from a number of layers and a tokenizer to a configuration of transformers, of hidden size 32.
        tokenizer: makes a fast tokenizer of the class that transformers uses for the family.
        layers: where the base model has the list of its layers; None for layers that share one set of weights.
        variant: settings of a second form of models, where published ones come in several.
    """

    config: Callable[[int, Any], Any]
    tokenizer: Callable[[], Any]
    layers: str | None = "encoder.layer"
    variant: Mapping[str, Any] = field(default_factory=dict)


def _config(
    name: str, positions: int | None = MAX_LENGTH, behind_padding: bool = False, **settings: Any
) -> Callable[[int, Any], Any]:
    """Makes configurations of a class of transformers that calls its settings as BERT does.

    Positions that are counted from behind the padding token's id need as many more.
    """

    def made(num_layers: int, tokenizer: Any) -> Any:
        import transformers

        before = tokenizer.pad_token_id + 1 if behind_padding else 0
        return getattr(transformers, name)(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            num_hidden_layers=num_layers,
            # Larger initial weights than usual: each of these small layers then changes its input visibly.
            initializer_range=0.1,
            **({} if positions is None else {"max_position_embeddings": positions + before}),
            **{key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id") if _has(tokenizer, key)},
            **USUAL | settings,
        )

    return made


def _has(tokenizer: Any, key: str) -> bool:
    return getattr(tokenizer, key) is not None


def _distilbert_config(num_layers: int, tokenizer: Any) -> Any:
    import transformers

    return transformers.DistilBertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        n_layers=num_layers,
        initializer_range=0.1,
        dim=32,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=MAX_LENGTH,
    )


def _xlnet_config(num_layers: int, tokenizer: Any) -> Any:
    import transformers

    return transformers.XLNetConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        n_layer=num_layers,
        initializer_range=0.1,
        d_model=32,
        n_head=4,
        d_inner=64,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


# As with the published checkpoints, token types are returned unasked by BERT's tokenizer, also where it serves
# DistilBERT (which has no use for them), and are not returned unasked by those of XLNet and ALBERT (which have).


def _word_pieces() -> Any:
    import transformers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: index for index, token in enumerate([*special, *WORDS, ".", ",", "?"])}
    return transformers.BertTokenizer(vocab=vocabulary, model_max_length=MAX_LENGTH)


def _byte_pairs() -> Any:
    """A RoBERTa tokenizer whose merges build each word letter by letter from its start ("Ġ" is a space)."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    prefixes = dict.fromkeys(f"Ġ{word}"[:length] for word in sorted(WORDS) for length in range(2, len(word) + 2))
    merges = [(prefix[:-1], prefix[-1]) for prefix in prefixes]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokens = [*special, *sorted(ByteLevel.alphabet()), *prefixes]
    return transformers.RobertaTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        add_prefix_space=True,
        model_max_length=MAX_LENGTH,
    )


def _unigram_pieces(special: list[str]) -> list[tuple[str, float]]:
    pieces = [("▁" + word, -5.0) for word in WORDS]
    return [(token, 0.0) for token in special] + pieces + [("▁", -8.0), (".", -6.0), (",", -6.0), ("?", -6.0)]


def _deberta_byte_pairs() -> Any:
    """The same pieces for DeBERTa, whose special tokens are others. Pairs have one separator, and two types."""
    import transformers

    roberta = json.loads(_byte_pairs().backend_tokenizer.to_str())["model"]
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    tokens = [*special, *list(roberta["vocab"])[5:]]
    return transformers.DebertaTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[tuple(merge) for merge in roberta["merges"]],
        add_prefix_space=True,
        model_max_length=MAX_LENGTH,
    )


def _modernbert_byte_pairs() -> Any:
    """The same tokenizer without token types, in the form in which ModernBERT's is published."""
    import transformers

    special = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=_deberta_byte_pairs().backend_tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=MAX_LENGTH,
        **{f"{name}_token": token for name, token in special.items()},
    )


def _mpnet_pieces() -> Any:
    """BERT's kind of pieces among RoBERTa's special tokens; the unknown token is called as BERT's."""
    import transformers

    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    vocabulary = {token: index for index, token in enumerate([*special, *WORDS, ".", ",", "?"])}
    return transformers.MPNetTokenizer(vocab=vocabulary, model_max_length=MAX_LENGTH)


def _xlm_roberta_pieces() -> Any:
    """As in the published checkpoints, the mask is the last token."""
    import transformers

    pieces = [*_unigram_pieces(["<s>", "<pad>", "</s>", "<unk>"]), ("<mask>", 0.0)]
    return transformers.XLMRobertaTokenizer(vocab=pieces, model_max_length=MAX_LENGTH)


def _camembert_pieces() -> Any:
    """As in the published checkpoints, the first and the third token are not used: <s> and </s> come behind them."""
    import transformers

    special = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    pieces = [*_unigram_pieces(special), ("<mask>", 0.0)]
    return transformers.CamembertTokenizer(vocab=pieces, model_max_length=MAX_LENGTH)


def _deberta_pieces() -> Any:
    import transformers

    pieces = _unigram_pieces(["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    return transformers.DebertaV2Tokenizer(vocab=pieces, unk_id=3, model_max_length=MAX_LENGTH)


def _albert_pieces() -> Any:
    import transformers

    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return transformers.AlbertTokenizer(vocab=_unigram_pieces(special), model_max_length=MAX_LENGTH)


def _xlnet_pieces() -> Any:
    """Pads on the left (pad type 3) and puts <cls> last."""
    import transformers

    special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    return transformers.XLNetTokenizer(vocab=_unigram_pieces(special), do_lower_case=True, model_max_length=MAX_LENGTH)


TINY = {
    "bert": TinyFamily(_config("BertConfig"), _word_pieces),
    "roberta": TinyFamily(_config("RobertaConfig", behind_padding=True, type_vocab_size=1), _byte_pairs),
    # The other forms are computed by transformers, and by the own encoder.
    "xlm-roberta": TinyFamily(
        _config("XLMRobertaConfig", behind_padding=True, type_vocab_size=1),
        _xlm_roberta_pieces,
        variant={"hidden_act": "silu", "type_vocab_size": 2},
    ),
    "camembert": TinyFamily(
        _config("CamembertConfig", behind_padding=True, type_vocab_size=1),
        _camembert_pieces,
        variant={"hidden_act": "relu"},
    ),
    # As the small published ones; the others' embeddings are as wide as their layers.
    "electra": TinyFamily(
        _config("ElectraConfig", embedding_size=16), _word_pieces, variant={"embedding_size": 32, "hidden_act": "relu"}
    ),
    "mpnet": TinyFamily(
        _config("MPNetConfig", behind_padding=True), _mpnet_pieces, variant={"relative_attention_num_buckets": 40}
    ),
    # As deberta-base.
    "deberta": TinyFamily(
        _config(
            "DebertaConfig",
            relative_attention=True,
            position_biased_input=False,
            pos_att_type="c2p|p2c",
        ),
        _deberta_byte_pairs,
        variant={"pos_att_type": ["p2c"], "position_biased_input": True, "type_vocab_size": 2, "talking_head": True},
    ),
    # As deberta-v3-base, and as deberta-v2-xlarge, with matrices of positions beside.
    "deberta-v2": TinyFamily(
        _config(
            "DebertaV2Config",
            relative_attention=True,
            position_biased_input=False,
            position_buckets=8,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type="p2c|c2p",
        ),
        _deberta_pieces,
        variant={"conv_kernel_size": 3, "conv_act": "gelu", "share_att_key": False, "position_biased_input": True},
    ),
    "xlnet": TinyFamily(_xlnet_config, _xlnet_pieces, layers="layer"),
    "distilbert": TinyFamily(_distilbert_config, _word_pieces, layers="transformer.layer"),
    "albert": TinyFamily(_config("AlbertConfig", embedding_size=16), _albert_pieces, layers=None),
    # Local layers see fewer tokens than texts have, so that one of the wrong kind shows in the output.
    "modernbert": TinyFamily(
        _config("ModernBertConfig", local_attention=6, classifier_pooling="mean"),
        _modernbert_byte_pairs,
        layers="layers",
    ),
    "nomic_bert": TinyFamily(
        _config("NomicBertConfig"),
        _word_pieces,
        layers="layers",
        variant={"head_dim": 16, "hidden_act": "gelu", "rope_parameters": {"rope_theta": 30.0, "rope_type": "default"}},
    ),
    **{name: TinyFamily(*entry) for name, entry in DECODERS.items()},
}

# Architectures that the library does not support, for tests that add one.
OTHERS = {
    "ernie": TinyFamily(_config("ErnieConfig"), _word_pieces),
    "data2vec-text": TinyFamily(_config("Data2VecTextConfig", behind_padding=True, type_vocab_size=1), _byte_pairs),
}
