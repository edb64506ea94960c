"""Trim a tokenizer to the tokens that training texts use: a model's folder without weights and vocabulary.json out.

Texts are tokenized again with the trimmed tokenizer, since some of their tokens may not be the same; the weights of a
fine-tuned model are trimmed by `shallower.surgery.vocabulary.trim_model`.
"""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import sha256_of
from shallower.engine.token_counts import token_counts
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified
from shallower.models.folder import CONFIG, TOKENIZER_FILES
from shallower.surgery.vocabulary import trim_vocabulary

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    verified(arguments.model_dir, (CONFIG, *TOKENIZER_FILES))
    record = trim_vocabulary(
        arguments.model_dir,
        token_counts(map(read_tokens, arguments.train_tokens)),
        arguments.minimum_count,
        arguments.output_dir,
        made_from={path.name: sha256_of(path) for path in arguments.train_tokens},
    )
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in record["kept_for"].items())
    logger.info("%s of %s tokens kept: %s", f"{record['size_after']:,}", f"{record['size_before']:,}", reasons)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with config.json and the tokenizer")
    parser.add_argument("--train-tokens", type=Path, nargs="+", required=True, help="tokens files of training texts")
    parser.add_argument("--minimum-count", type=int, default=1, help="how often a token occurs at least to be kept")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
