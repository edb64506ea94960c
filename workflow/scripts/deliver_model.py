"""Deliver the recommended model of one task: a folder with the model in every form, its card and its proof.

In: recommended.csv, variants.csv, candidates.json, the models in each variant, and what they were made from. Out: the
folder delivered/{model}/{task}. Where nothing is recommended, its manifest.json and README.md say why.
"""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json
from shallower.core.tables import rows_about
from shallower.core.variants import FULL, TORCH, Variant
from shallower.delivery.candidates import read_candidates
from shallower.delivery.describe import describe
from shallower.delivery.folder import make_empty_folder, make_folder
from shallower.delivery.parity import choose_examples, choose_pairs
from shallower.delivery.sentences import choose_words
from shallower.delivery.texts import read_texts, read_words
from shallower.delivery.variant_folders import folder_of, model_file, torch_folder
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import read_predictions
from shallower.models.checksums import verified_file

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    folder = arguments.output.parent
    row = rows_about(arguments.recommended, arguments.model, arguments.task).iloc[0]
    if not row["recommended"]:
        make_empty_folder(folder, row["study"], row["model"], row["task"], row["sentence"])
        logger.info("nothing is delivered: %s", row["sentence"])
        return
    variants = rows_about(arguments.variants, arguments.model, arguments.task).to_dict("records")
    variant = Variant(row["runtime"], row["vocabulary"])
    candidate = next(
        candidate for candidate in read_candidates(arguments.candidates) if candidate.run.directory == row["directory"]
    )
    tokens = read_tokens(arguments.tokens if variant.vocabulary == FULL else arguments.trimmed_tokens)
    task = read_json(arguments.task_dir / "task.json")
    delivered = describe(
        candidate,
        variant,
        variants,
        {
            **{name: getattr(tokens, name) for name in ("max_length", "padding_side", "pad_token_id")},
            "pad_token_type_id": tokens.pad_token_type_id,
            "has_token_types": tokens.token_type_ids is not None,
        },
        task,
        read_json(arguments.model_dir / "manifest.json"),
        read_json(arguments.task_dir / "manifest.json"),
        read_json(arguments.serving)["machine"],
        arguments.score_kept,
    )
    verified_file(arguments.task_dir / "validation.parquet")
    trained = variant._replace(runtime=TORCH)
    predictions = read_predictions(folder_of(candidate.run, trained) / "predictions.parquet", task["target"])
    table = arguments.task_dir / "validation.parquet"
    if predictions.found is not None:
        texts = read_texts(table, has_pair=False)
        first = zip(predictions.ids, predictions.found.documents[:, 0], strict=True)
        pairs = [[*texts[query], *texts[document]] for query, document in first]
        examples = choose_pairs(pairs, predictions.found.cosines[:, :1])
    elif tokens.places is None:
        texts = read_texts(table, task["has_pair"])
        choose = choose_pairs if tokens.pairs else choose_examples
        examples = choose([texts[example] for example in predictions.ids], predictions.logits)
    else:
        examples = choose_words(read_words(table), tokens, predictions)
    make_folder(
        folder,
        delivered,
        torch_folder(candidate.run, variant),
        examples,
        {
            form.runtime: model_file(candidate.run, variant._replace(runtime=form.runtime))
            for form in delivered.forms
            if form.runtime != TORCH
        },
        {"sentence": row["sentence"]},
    )
    logger.info("%s on %s: %s", row["model"], row["task"], row["sentence"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recommended", type=Path, required=True, help="recommended.csv")
    parser.add_argument("--variants", type=Path, required=True, help="variants.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--serving", type=Path, required=True, help="serving.json")
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the downloaded model")
    parser.add_argument("--task-dir", type=Path, required=True, help="folder of the downloaded task")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the validation split")
    parser.add_argument("--trimmed-tokens", type=Path, nargs="?", help="the same by the trimmed vocabulary")
    parser.add_argument("--score-kept", type=float, nargs="?", help="the budget's least score, in per cent")
    parser.add_argument("--output", type=Path, required=True, help="manifest.json of the delivered folder")
    run_step(parser, main)
