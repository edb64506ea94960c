"""Tokenize splits of a task: a model's tokenizer and a task's tables in, a tokens file for each out."""

import argparse
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from transformers import AutoTokenizer

from shallower.core.cli import run_step
from shallower.core.code_digest import code_digest, code_files
from shallower.core.files import read_json, write_json
from shallower.core.layout import CALIBRATION, SPLITS, TEST, UNLABELLED
from shallower.core.provenance import versions
from shallower.core.text_figures import FILE, cut_percent, unknown_percent
from shallower.core.wording import listed
from shallower.engine.tokens import each_text_by_itself, text_figures, tokenize, write_tokens
from shallower.models.checksums import verified
from shallower.models.families import family_of, position_limit
from shallower.models.folder import CONFIG, TOKENIZER_FILES
from shallower.models.sentence_embedding import SentenceEmbedding

logger = logging.getLogger(__name__)

# Files of a test collection that have texts, by their keys in its manifest. Not those of `sources.retrieval`: how files
# are read is no part of what tokens are made by.
TEXT_FILES = ("queries", "corpus")
SCRIPT = Path(__file__).resolve()
LIBRARY = SCRIPT.parents[1]


def original_file(task_dir: Path, split: str) -> str:
    """Name of the file, or of the files, that the rows of a split were read from, as their ids count them."""
    manifest = task_dir / "manifest.json"
    originals = read_json(manifest)["originals"] if manifest.exists() else {}
    # Of a test collection each text has a name, which may be in the file of queries or in that of documents.
    of_collection = [f"test_{part}" if f"test_{part}" in originals and split == TEST else part for part in TEXT_FILES]
    for names in ([split], ["data"], of_collection):
        # A pattern names several files, whose rows are counted together.
        is_one = re.compile(rf"({'|'.join(names)})( \d+)?").fullmatch
        if files := [original["file"] for key, original in originals.items() if is_one(key)]:
            return listed(files)
    return f"{split}.parquet"


def in_words(figures: Mapping[str, Any], max_length: int) -> str:
    """What became of a split's texts, for the log."""
    if not figures["texts"]:
        return "no examples"
    unknown = unknown_percent(figures)
    if "words" in figures:
        became = (
            f"{figures['split_texts']:,} in parts of at most {max_length} tokens, {figures['lost_words']:,} of "
            f"{figures['words']:,} words without a token"
        )
    else:
        became = f"{figures['cut_texts']:,} ({cut_percent(figures):.1f} %) cut to {max_length} tokens"
    return (
        f"{figures['texts']:,} examples, {figures['tokens'] / figures['texts']:.1f} tokens each on average, {became}, "
        + ("no unknown tokens: the tokenizer has none" if unknown is None else f"{unknown:.2f} % of the tokens unknown")
    )


def main(arguments: argparse.Namespace) -> None:
    model = verified(arguments.model_dir, (CONFIG, *TOKENIZER_FILES))
    tables = verified(arguments.task_dir, [f"{split}.parquet" for split in arguments.splits])
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_dir, local_files_only=True, trust_remote_code=False)
    config = read_json(arguments.model_dir / CONFIG)
    code = code_digest(code_files(SCRIPT, LIBRARY), LIBRARY)
    embedding, max_length = SentenceEmbedding.of(config), arguments.max_length
    if embedding is not None and embedding.max_length < max_length:
        max_length = embedding.max_length
        logger.info("texts are cut to %d tokens, as the model's own files say", max_length)
    figures = {}
    for split in arguments.splits:
        table = pq.read_table(arguments.task_dir / f"{split}.parquet")
        more: dict[str, Any] = {}
        if embedding is not None:
            table, more = each_text_by_itself(table)
        tokens = tokenize(
            table,
            tokenizer,
            max_length,
            vocab_size=config["vocab_size"],
            position_limit=position_limit(config),
            num_token_types=family_of(config).num_token_types(config),
            has_cls_token=family_of(config).has_cls_token,
            place=original_file(arguments.task_dir, split),
        )
        made_from = {
            "sha256": model | {f"{split}.parquet": tables[f"{split}.parquet"]},
            "versions": versions(("transformers", "tokenizers")),
            "code": code,
        }
        write_tokens(arguments.output_dir / f"{split}.safetensors", replace(tokens, made_from=made_from, **more))
        figures[split] = text_figures(tokens)
        logger.info("%s: %s", split, in_words(figures[split], tokens.max_length))
    write_json(arguments.output_dir / FILE, figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with config.json and the tokenizer")
    parser.add_argument("--task-dir", type=Path, required=True, help="folder with a parquet file for each split")
    parser.add_argument("--splits", nargs="+", choices=[*SPLITS, CALIBRATION, UNLABELLED, TEST], default=SPLITS)
    parser.add_argument("--max-length", type=int, required=True, help="tokens that inputs are cut to")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
