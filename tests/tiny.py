"""Tiny models and tasks for tests: real architectures and tokenizers, random weights, no network.

`make_model` writes a checkpoint folder as `save_pretrained` does, `make_task_files` writes two CSV files
whose labels can be learnt from the words. All texts are made of `WORDS`, each of which is one token for every
tiny tokenizer.
"""

import csv
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FAMILIES = ("bert", "roberta", "xlnet", "distilbert", "albert")
# Architectures that the library does not support, for tests that add one.
OTHERS = ("electra", "xlm-roberta")

GOOD_WORDS = ["good", "great", "happy", "clear", "warm", "bright", "kind", "fresh", "strong", "lovely"]
BAD_WORDS = ["bad", "poor", "sad", "dull", "cold", "dark", "cruel", "stale", "weak", "awful"]
_COMMON_TEXT = """
the a an of to in on at by with from for and or but not is was are were be has had this that these those it
he she they we you i his her their our my some any all many few more most very so too then now here there
when where how one two three four five six seven eight nine ten man woman child friend teacher doctor writer
farmer city town house room door window street river sea hill field tree flower bird dog cat horse book
story letter word song film game day night morning evening week month year time hour summer winter rain snow
wind sun moon water bread milk tea table chair bed car train boat ship road bridge school shop market garden
music picture colour red blue green white black small large long short old new young high low fast slow
early late first last next own same other every each make take give find tell ask work call try keep let
begin seem help show hear play run move live hold bring write sit stand pay meet learn change lead speak
read walk open close watch follow stop spend grow win teach offer
"""
COMMON_WORDS = _COMMON_TEXT.split()
WORDS = tuple(dict.fromkeys([*GOOD_WORDS, *BAD_WORDS, *COMMON_WORDS]))

MAX_LENGTH = 128
# For `set_initializer_range`: logits overflow, and the first loss is not a number.
UNTRAINABLE = 1e38


def make_model(
    directory: str | Path,
    family: str,
    num_layers: int = 4,
    labels: int | None = None,
    regression: bool = False,
    seed: int = 0,
    max_shard_size: str | None = None,
    bare: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Save a tiny random model (hidden size 32, 4 heads) and its fast tokenizer; return the folder.

    With `labels` the checkpoint has a sequence classification head, with `regression` one of a single output.
    Otherwise it is a pre-training checkpoint (language-model head, tensor names with the base model's
    prefix) or, with `bare`, the base model alone, whose tensor names have no prefix. A small
    `max_shard_size` such as "20KB" splits the weights into several files. `settings` replace those of the
    configuration.
    """
    import torch
    import transformers

    directory = Path(directory)
    tokenizer = make_tokenizer(family)
    config = make_config(family, num_layers, tokenizer)
    if regression:
        config.num_labels, config.problem_type = 1, "regression"
    elif labels is not None:
        config.num_labels = labels
    for name, value in (settings or {}).items():
        setattr(config, name, value)

    if regression or labels is not None:
        model_class = transformers.AutoModelForSequenceClassification
    elif bare:
        model_class = transformers.AutoModel
    else:
        model_class = transformers.AutoModelForPreTraining
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class.from_config(config)
        _randomise_vectors(model)
    model.save_pretrained(directory, **({"max_shard_size": max_shard_size} if max_shard_size else {}))
    tokenizer.save_pretrained(directory)
    return directory


def set_initializer_range(model: Path, value: float) -> None:
    """With a huge range of new weights, which are those of the head, a saved model can be computed but not trained."""
    config = model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"initializer_range": value}))


def _randomise_vectors(model: Any) -> None:
    """Move biases and layer norms away from 0 and 1, so that mixing them up shows in the output."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)


def make_config(family: str, num_layers: int, tokenizer: Any) -> Any:
    """The configuration of a tiny model of a family, fitting a tokenizer."""
    import transformers

    vocabulary = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    # Larger initial weights than usual: each of these small layers then changes its input visibly.
    common = {**vocabulary, "num_hidden_layers": num_layers, "initializer_range": 0.1}
    usual = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    if family == "bert":
        return transformers.BertConfig(**common, **usual, max_position_embeddings=MAX_LENGTH)
    if family == "electra":
        return transformers.ElectraConfig(**common, **usual, embedding_size=16, max_position_embeddings=MAX_LENGTH)
    if family in ("roberta", "xlm-roberta"):
        config_class = transformers.RobertaConfig if family == "roberta" else transformers.XLMRobertaConfig
        return config_class(
            **common,
            **usual,
            max_position_embeddings=MAX_LENGTH + tokenizer.pad_token_id + 1,
            type_vocab_size=1,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    if family == "albert":
        return transformers.AlbertConfig(
            **common,
            **usual,
            embedding_size=16,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    if family == "distilbert":
        return transformers.DistilBertConfig(
            **vocabulary,
            n_layers=num_layers,
            initializer_range=0.1,
            dim=32,
            n_heads=4,
            hidden_dim=64,
            max_position_embeddings=MAX_LENGTH,
        )
    if family == "xlnet":
        return transformers.XLNetConfig(
            **vocabulary,
            n_layer=num_layers,
            initializer_range=0.1,
            d_model=32,
            n_head=4,
            d_inner=64,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    raise ValueError(f"no tiny model of family {family!r}; families: {', '.join(FAMILIES + OTHERS)}")


def make_tokenizer(family: str) -> Any:
    """A fast tokenizer of the class that transformers uses for the family; each of `WORDS` is one token.

    XLNet pads on the left (pad type 3) and puts <cls> last. As with the published checkpoints, token types
    are returned unasked by BERT's tokenizer, also where it serves DistilBERT (which has no use for them),
    and are not returned unasked by those of XLNet and ALBERT (which have).
    """
    import transformers

    if family in ("bert", "distilbert", "electra"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary = {token: index for index, token in enumerate([*special, *WORDS, ".", ",", "?"])}
        return transformers.BertTokenizer(vocab=vocabulary, model_max_length=MAX_LENGTH)
    if family in ("roberta", "xlm-roberta"):
        return _make_byte_pair_tokenizer()
    if family == "albert":
        special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
        return transformers.AlbertTokenizer(vocab=_unigram_pieces(special), model_max_length=MAX_LENGTH)
    if family == "xlnet":
        special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
        return transformers.XLNetTokenizer(
            vocab=_unigram_pieces(special), do_lower_case=True, model_max_length=MAX_LENGTH
        )
    raise ValueError(f"no tiny tokenizer of family {family!r}; families: {', '.join(FAMILIES + OTHERS)}")


def _unigram_pieces(special: list[str]) -> list[tuple[str, float]]:
    pieces = [("▁" + word, -5.0) for word in WORDS]
    return [(token, 0.0) for token in special] + pieces + [("▁", -8.0), (".", -6.0), (",", -6.0), ("?", -6.0)]


def _make_byte_pair_tokenizer() -> Any:
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


def make_task_files(
    directory: str | Path,
    rows_train: int,
    rows_validation: int,
    pair: bool = False,
    regression: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Write train.csv and validation.csv and return the task's definition, as a study holds it.

    Each text has a few good or bad words among neutral ones. The label is which of the two it has (names
    "bad" and "good"; both classes equally often) or, for regression, how many of its five telling words are
    good. With `pair` those words stand in the second text. No text occurs twice.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    columns = ["text_a", "text_b"] if pair else ["text"]
    rows = _task_rows(random.Random(seed), pair, regression)
    for split, count in (("train", rows_train), ("validation", rows_validation)):
        with (directory / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "label"])
            writer.writerows(next(rows) for _ in range(count))
    definition = {
        "name": "tiny",
        "source": "files",
        "train_file": str(directory / "train.csv"),
        "validation_file": str(directory / "validation.csv"),
        "text": columns,
        "label": "label",
    }
    if regression:
        return {**definition, "target": "regression", "metrics": ["pearson", "spearmanr"]}
    return {
        **definition,
        "target": "classification",
        "labels": ["bad", "good"],
        "metrics": ["accuracy", "f1"],
    }


def make_unlabelled_file(directory: str | Path, rows: int, pair: bool = False, regression: bool = False) -> None:
    """Write unlabelled.csv: `rows` new texts, the first one again, and those of a training and a validation row."""
    directory = Path(directory)
    columns = ["text_a", "text_b"] if pair else ["text"]
    source = _task_rows(random.Random(1), pair, regression)
    texts = [next(source)[:-1] for _ in range(rows)]
    for split in ("train", "validation"):
        with (directory / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            texts.append(list(csv.reader(file))[1][:-1])
    with (directory / "unlabelled.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *texts[:rows], texts[0], *texts[rows:]])


def make_test_file(directory: str | Path, rows: int, pair: bool = False, regression: bool = False) -> None:
    """Write test.csv: `rows` new rows, and the first training row."""
    directory = Path(directory)
    with (directory / "train.csv").open(encoding="utf-8", newline="") as file:
        header, known, *_ = csv.reader(file)
    new = itertools.islice(_task_rows(random.Random(2), pair, regression), rows)
    with (directory / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *new, known])


def _task_rows(source: random.Random, pair: bool, regression: bool) -> Iterator[list[Any]]:
    seen = set()
    for index in itertools.count():
        good = source.randint(0, 5) if regression else 5 * (index % 2)
        while True:
            telling = source.choices(GOOD_WORDS, k=good) + source.choices(BAD_WORDS, k=5 - good)
            words = telling[: 5 if regression else 2] + source.choices(COMMON_WORDS, k=source.randint(3, 8))
            source.shuffle(words)
            text = " ".join(words) + " ."
            if text not in seen:
                break
        seen.add(text)
        texts = [" ".join(source.choices(COMMON_WORDS, k=source.randint(3, 6))), text] if pair else [text]
        yield [*texts, float(good) if regression else ("bad", "good")[good // 5]]
