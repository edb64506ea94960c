"""Vocabularies of decoders are trimmed: by bytes, by characters with bytes as a fallback, with tokens of their own."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny
from shallower.surgery.vocabulary import trim_model, trim_vocabulary

TRAIN = ["the good man", "a happy dog and a clear day", "she had the good book"]


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "gemma3_text", "smollm3"])
def test_texts_of_kept_tokens_have_the_same_logits(tmp_path: Path, family: str) -> None:
    full = tiny.make_model(tmp_path / "full", family, 2, labels=3)
    tokenizer = AutoTokenizer.from_pretrained(full)
    counts = Counter(number for ids in tokenizer(TRAIN)["input_ids"] for number in ids)
    record = trim_vocabulary(full, counts, 1, tmp_path / "tokenizer")
    trim_model(full, tmp_path / "tokenizer", tmp_path / "trimmed")
    assert record["size_after"] < 0.6 * record["size_before"]
    smaller = AutoTokenizer.from_pretrained(tmp_path / "trimmed")
    logits = []
    for folder, own in ((full, tokenizer), (tmp_path / "trimmed", smaller)):
        model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
        assert not any(info.values())
        assert (model.config.pad_token_id, own.padding_side) == (own.pad_token_id, tokenizer.padding_side)
        with torch.no_grad():
            logits.append(model.eval()(**own(TRAIN, padding=True, return_tensors="pt")).logits)
    torch.testing.assert_close(*logits, rtol=0, atol=1e-6)
    for text in ("winter story", "naïve 🙂 ёлка"):
        assert smaller.decode(smaller(text)["input_ids"], skip_special_tokens=True).strip() == text
