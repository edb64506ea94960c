"""Tiny configurations and tokenizers of decoders with a head for classification."""

from collections.abc import Callable, Mapping
from typing import Any

from tiny_words import MAX_LENGTH, WORDS

# Two of the four heads share keys and values.
LLAMA = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": MAX_LENGTH,
}
SMALL_HEADS = {"head_dim": 8}
SLIDING = {"use_sliding_window": True, "sliding_window": 5, "layer_types": None}
# Fewer tokens than the texts have, so that a layer of the wrong kind shows in the output.
GEMMA = SMALL_HEADS | {"sliding_window": 5, "query_pre_attn_scalar": 8}


def config(name: str, **settings: Any) -> Callable[[int, Any], Any]:
    """Makes configurations of a class of transformers, from a number of layers and a tokenizer."""

    def made(num_layers: int, tokenizer: Any) -> Any:
        import transformers

        ids = {key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
        common = {"vocab_size": len(tokenizer), "num_hidden_layers": num_layers, "initializer_range": 0.1}
        return getattr(transformers, name)(**common, **ids, **settings)

    return made


def byte_pairs(name: str, special: list[str], **settings: Any) -> Callable[[], Any]:
    """Makes tokenizers of bytes, whose merges build each word letter by letter from its start ("Ġ" is a space)."""

    def made() -> Any:
        import transformers
        from tokenizers.pre_tokenizers import ByteLevel

        merges, prefixes = _merges([f"Ġ{word}" for word in WORDS])
        tokens = [*special, *sorted(ByteLevel.alphabet()), *prefixes]
        vocabulary = {token: number for number, token in enumerate(tokens)}
        return getattr(transformers, name)(
            vocab=vocabulary, merges=merges, add_prefix_space=True, model_max_length=MAX_LENGTH, **settings
        )

    return made


def sentence_pieces(name: str, special: list[str], start: str, **settings: Any) -> Callable[[], Any]:
    """Makes tokenizers of characters with bytes as a fallback ("▁" is a space), which put `start` before each text.

    Words are tokens with a space before them and, as the first of a text, without.
    """

    def made() -> Any:
        import transformers
        from tokenizers.processors import TemplateProcessing

        merges, prefixes = _merges([*(f"▁{word}" for word in WORDS), *WORDS])
        characters = sorted({character for word in prefixes for character in word} | set("▁.,?"))
        tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *characters, *prefixes]
        vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
        made = getattr(transformers, name)(vocab=vocabulary, merges=merges, model_max_length=MAX_LENGTH, **settings)
        made.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{start} $A",
            pair=f"{start} $A {start} $B",
            special_tokens=[(start, vocabulary[start])],
        )
        return made

    return made


def _plain_byte_pairs() -> Any:
    """The tokenizer of Llama 3's kind: bytes, words without merges, and a token before each text."""
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    merges, prefixes = _merges([f"Ġ{word}" for word in WORDS])
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *prefixes]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    start, end, padding = "<|begin_of_text|>", "<|im_end|>", "<|finetune_right_pad_id|>"
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (start, end, padding)])
    template = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start} $B:1",
        special_tokens=[(start, tokenizer.token_to_id(start))],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=padding, model_max_length=MAX_LENGTH
    )


def _merges(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The merges that build words letter by letter, and what they make."""
    prefixes = list(dict.fromkeys(word[:length] for word in words for length in range(2, len(word) + 1)))
    return [(prefix[:-1], prefix[-1]) for prefix in prefixes], prefixes


END_OF_TEXT = "<|endoftext|>"
# One token ends texts and pads them, as in most decoders.
_qwen_pieces = byte_pairs("Qwen2Tokenizer", [END_OF_TEXT], pad_token=END_OF_TEXT)
_gemma_pieces = sentence_pieces("GemmaTokenizer", ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], "<bos>")

# By family: what makes a configuration, what makes a tokenizer, and where the base model has its layers.
DECODERS: Mapping[str, tuple[Callable[[int, Any], Any], Callable[[], Any], str]] = {
    "gpt2": (
        config("GPT2Config", n_embd=32, n_head=4, n_positions=MAX_LENGTH),
        byte_pairs("GPT2Tokenizer", [END_OF_TEXT], pad_token=END_OF_TEXT),
        "h",
    ),
    "llama": (
        config("LlamaConfig", **LLAMA),
        sentence_pieces("LlamaTokenizer", ["<unk>", "<s>", "</s>"], "<s>", pad_token="</s>", padding_side="left"),
        "layers",
    ),
    "qwen2": (config("Qwen2Config", **LLAMA), _qwen_pieces, "layers"),
    "qwen3": (config("Qwen3Config", **LLAMA, **SMALL_HEADS), _qwen_pieces, "layers"),
    "gemma2": (config("Gemma2Config", **LLAMA, **GEMMA), _gemma_pieces, "layers"),
    "gemma3_text": (config("Gemma3TextConfig", **LLAMA, **GEMMA, sliding_window_pattern=3), _gemma_pieces, "layers"),
    "smollm3": (config("SmolLM3Config", **LLAMA), _plain_byte_pairs, "layers"),
}
# Settings of a second form of models; null for lists that follow from other settings.
SECOND_FORMS: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"n_inner": 48, "activation_function": "relu"},
    "llama": {"num_key_value_heads": 4, "head_dim": 16, "attention_bias": True, "mlp_bias": True},
    "qwen2": SLIDING | {"max_window_layers": 1},
    "qwen3": SLIDING | {"max_window_layers": 1, "attention_bias": True},
    "gemma2": {"attention_bias": True, "head_dim": 16},
    "gemma3_text": {"sliding_window_pattern": 2, "layer_types": None, "head_dim": 16},
    "smollm3": SLIDING | {"no_rope_layer_interval": 2, "no_rope_layers": None, "attention_bias": True},
}
