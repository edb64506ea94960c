"""Tokenizers of every kind, trained on a small text, and tiny random classifiers with them.

Unlike those of `tiny`, they spell any text with the characters of that text, as published tokenizers do.
"""

import json
import random
from pathlib import Path
from typing import Any

import tiny

# Letters of several scripts, combined ones, and signs.
OTHER_TEXT = (
    "naïve café straße mañana ёлка привет мир 日本 語 한국 ½ € 😀 don't e-mail 3.14 x_y #tag A Good DOG [unused01]"
)
CORPUS_WORDS = [*tiny.WORDS, *OTHER_TEXT.split()]
VOCABULARY_SIZE = 700

# Each kind with the family of a model that uses it.
KINDS = {
    "word-piece": "bert",
    "byte-bpe": "roberta",
    "byte-fallback-bpe": "distilbert",
    "unigram-albert": "albert",
    "unigram-xlnet": "xlnet",
    "unigram-plain": "bert",
    "word-piece-mpnet": "mpnet",
    "unigram-xlm-roberta": "xlm-roberta",
    "unigram-camembert": "camembert",
    "unigram-deberta": "deberta-v2",
}


def corpus(rows: int, seed: int = 0) -> list[str]:
    """Sentences of a few words, the first ones of the list more often than the last."""
    source = random.Random(seed)
    weights = [1 / (place + 5) for place in range(len(CORPUS_WORDS))]
    return [" ".join(source.choices(CORPUS_WORDS, weights, k=source.randint(2, 9))) + "." for _ in range(rows)]


def train(kind: str) -> Any:
    """A tokenizer of the class that transformers uses for the kind's family."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    def trained(tokenizer: Any, trainer: Any) -> dict[str, Any]:
        tokenizer.train_from_iterator([*corpus(400), " ".join(CORPUS_WORDS)], trainer)
        return json.loads(tokenizer.to_str())["model"]

    def metaspace(tokenizer: Any) -> Any:
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        return tokenizer

    sizes: dict[str, Any] = {"vocab_size": VOCABULARY_SIZE, "show_progress": False}
    length = {"model_max_length": tiny.MAX_LENGTH}
    if kind.startswith("word-piece"):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        if kind == "word-piece-mpnet":
            special = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"]
        model = trained(tokenizer, trainers.WordPieceTrainer(special_tokens=special, **sizes))
        # The trainer has both forms of each character only where it saw both; BERT's own vocabularies always do.
        characters = sorted({token.removeprefix("##")[0] for token in model["vocab"] if token not in special})
        tokens = dict.fromkeys([*model["vocab"], *characters, *(f"##{character}" for character in characters)])
        tokenizer_class = transformers.MPNetTokenizer if kind == "word-piece-mpnet" else transformers.BertTokenizer
        return tokenizer_class(vocab={token: number for number, token in enumerate(tokens)}, **length)
    if kind == "byte-bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        model = trained(tokenizer, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, **sizes))
        merges = [tuple(merge) for merge in model["merges"]]
        return transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges, add_prefix_space=True, **length)
    special = ["<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]"]
    if kind == "byte-fallback-bpe":
        tokenizer = metaspace(Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)))
        all_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
        trained(tokenizer, trainers.BpeTrainer(special_tokens=[*special, *all_bytes], **sizes))
        # As SentencePiece: bytes are pieces that a text can have only by the way of missing characters.
        content = json.loads(tokenizer.to_str())
        content["added_tokens"] = [entry for entry in content["added_tokens"] if entry["content"] in special]
        tokenizer = Tokenizer.from_str(json.dumps(content))
        return _plain(tokenizer, processors, length)
    pieces = trainers.UnigramTrainer(unk_token="<unk>", special_tokens=["<unk>"], **sizes)
    model = trained(metaspace(Tokenizer(models.Unigram())), pieces)
    learnt = [(piece, score) for piece, score in model["vocab"] if piece != "<unk>"]
    if kind == "unigram-albert":
        front = [(token, 0.0) for token in ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")]
        return transformers.AlbertTokenizer(vocab=front + learnt, **length)
    if kind == "unigram-xlm-roberta":
        front = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
        return transformers.XLMRobertaTokenizer(vocab=[*front, *learnt, ("<mask>", 0.0)], **length)
    if kind == "unigram-camembert":
        unused = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
        front = [(token, 0.0) for token in unused]
        return transformers.CamembertTokenizer(vocab=[*front, *learnt, ("<mask>", 0.0)], **length)
    if kind == "unigram-deberta":
        front = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
        return transformers.DebertaV2Tokenizer(vocab=front + learnt, unk_id=3, **length)
    if kind == "unigram-xlnet":
        names = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
        return transformers.XLNetTokenizer(vocab=[(token, 0.0) for token in names] + learnt, **length)
    if kind == "unigram-plain":
        # Special tokens in the middle, so that all of their ids move.
        half = len(learnt) // 2
        vocabulary = learnt[:half] + [(token, 0.0) for token in special] + learnt[half:]
        return _plain(metaspace(Tokenizer(models.Unigram(vocabulary, unk_id=half))), processors, length)
    raise ValueError(f"no tokenizer of kind {kind!r}; kinds: {', '.join(KINDS)}")


def _plain(tokenizer: Any, processors: Any, length: dict[str, int]) -> Any:
    import transformers

    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **names, **length)


def save_classifier(folder: Path, family: str, tokenizer: Any, labels: int = 3) -> Path:
    """Save a tiny random classifier of a family and its tokenizer; return the folder."""
    import torch
    import transformers

    config = tiny.make_config(family, 2, tokenizer)
    config.num_labels = labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
