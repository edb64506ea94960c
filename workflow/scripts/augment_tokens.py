"""Make texts without labels from the training texts, for a teacher: their tokens file in, one of new texts out."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from transformers import AutoTokenizer

from shallower.core.cli import json_argument, run_step
from shallower.core.code_digest import code_digest, code_files
from shallower.core.files import read_json, sha256_of
from shallower.core.provenance import versions
from shallower.engine.augmentation import SEED, augment, special_ids, stand_in
from shallower.engine.tokens import read_tokens, write_tokens
from shallower.models.checksums import verified
from shallower.models.folder import CONFIG, TOKENIZER_FILES

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).resolve()
LIBRARY = SCRIPT.parents[1]


def main(arguments: argparse.Namespace) -> None:
    model = verified(arguments.model_dir, (CONFIG, *TOKENIZER_FILES))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_dir, local_files_only=True, trust_remote_code=False)
    tokens, settings = read_tokens(arguments.tokens), arguments.settings
    token, token_id = "", tokens.pad_token_id
    if settings["mask"] > 0:
        token, token_id = stand_in(
            tokenizer, read_json(arguments.model_dir / CONFIG)["vocab_size"], arguments.model_dir
        )
    made = augment(tokens, **settings, stand_in=token_id, special=special_ids(tokenizer))
    made_from = {
        "sha256": model | {arguments.tokens.name: sha256_of(arguments.tokens)},
        "augment": settings | {"seed": SEED, "stand_in": token, "texts": len(made.ids)},
        "versions": versions(("numpy", "transformers", "tokenizers")),
        "code": code_digest(code_files(SCRIPT, LIBRARY), LIBRARY),
    }
    write_tokens(arguments.output, replace(made, made_from=made_from))
    asked = len(tokens.ids) * settings["copies"]
    logger.info("%d texts without labels; %d of %d copies repeat others", len(made.ids), asked - len(made.ids), asked)
    if settings["mask"] > 0:
        logger.info("in place of masked tokens: %s", token)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with config.json and the tokenizer")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the training split")
    parser.add_argument("--settings", type=json_argument, required=True, help="JSON: copies, mask, segment")
    parser.add_argument("--output", type=Path, required=True, help="tokens file of the new texts")
    run_step(parser, main)
