"""Measure what the candidates of one task cost in every variant: latency, throughput, start, memory, bytes, energy.

In: candidates.json, their models in each variant; the task's validation texts. Out: serving.json. The time of a model
depends on its depth, not on its weights: of each arm one of the runs that keep most layers is measured, that with the
first seed, beside the full model.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.variants import AS_TRAINED, RUNTIMES, TORCH, VOCABULARIES, Variant
from shallower.delivery.candidates import Candidate, read_candidates
from shallower.delivery.texts import read_inputs
from shallower.delivery.variant_folders import folder_of, model_file, torch_folder, variants_of
from shallower.engine.gpu_slots import hold_gpu_slot
from shallower.models.checksums import verified, verified_file
from shallower.models.folder import CONFIG, TOKENIZER_FILES
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.serving.measure import measure_serving
from shallower.serving.record import variant_record
from shallower.serving.served_models import ServedModel, models_at_once, on_gpu


def served(candidate: Candidate, variant: Variant, max_length: int) -> ServedModel:
    """A candidate in a variant as a server has it; a sentence embedding cuts texts at a length of its own."""
    folder = folder_of(candidate.run, variant)
    embedding = SentenceEmbedding.of(read_json(torch_folder(candidate.run, variant) / CONFIG))
    max_length = max_length if embedding is None else embedding.max_length
    if variant.runtime == TORCH:
        verified(folder)
        path = folder
    else:
        path = model_file(candidate.run, variant)
        verified_file(path)
    tokenizer = torch_folder(candidate.run, variant) / TOKENIZER_FILES[0]
    return ServedModel(f"{candidate.run.arm}, {variant.title}", variant.runtime, path, tokenizer, max_length)


def groups(
    candidates: list[Candidate], variants: list[Variant], max_length: int
) -> Iterator[list[tuple[Candidate, Variant, ServedModel]]]:
    """What is measured at the same time: the full model as it was trained, and all variants of some more models.

    So many are in memory at once, whatever the number of depths.
    """
    deepest: dict[str, Candidate] = {}
    for candidate in candidates:
        known = deepest.setdefault(candidate.run.arm, candidate)
        if len(candidate.kept_layers) > len(known.kept_layers):
            deepest[candidate.run.arm] = candidate
    full = next(candidate for candidate in deepest.values() if candidate.run.is_baseline)
    reference = (full, AS_TRAINED, served(full, AS_TRAINED, max_length))
    arms = [*deepest.values()]
    number = models_at_once(model_file(full.run, AS_TRAINED).stat().st_size, len(variants))
    for start in range(0, len(arms), number):
        own = [pair for pair in product(arms[start : start + number], variants) if pair != (full, AS_TRAINED)]
        yield [reference, *((candidate, variant, served(candidate, variant, max_length)) for candidate, variant in own)]


def main(arguments: argparse.Namespace) -> None:
    for path in (arguments.texts, arguments.task):
        verified_file(path)
    candidates = read_candidates(arguments.candidates)
    texts = read_inputs(arguments.texts, read_json(arguments.task))
    has_gpu = hold_gpu_slot(arguments.device)
    entries: dict[str, dict[str, Any]] = {}
    record: dict[str, Any] = {}
    for group in groups(candidates, variants_of(arguments.runtimes, arguments.vocabularies), arguments.max_length):
        models = [model for *_, model in group]
        record = measure_serving(
            [*models, *(on_gpu(models) if has_gpu else [])],
            texts,
            arguments.batch_sizes,
            arguments.threads,
            arguments.repeats,
            arguments.texts_measured,
            arguments.starts,
        )
        for candidate, variant, model in group:
            arm = {axis: getattr(candidate.run, axis) for axis in ("origin", "strategy", "amount")}
            entries.setdefault(model.name, variant_record({**arm, **variant._asdict()}, model, record))
    run = candidates[0].run
    write_json(
        arguments.output,
        {
            **{axis: getattr(run, axis) for axis in ("study", "model", "task")},
            **{key: record[key] for key in ("machine", "rounds", "texts")},
            "variants": list(entries.values()),
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, required=True)
    parser.add_argument("--vocabularies", nargs="+", choices=VOCABULARIES, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="parquet file of the task's validation split")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--max-length", type=int, required=True, help="tokens that texts are cut to")
    parser.add_argument("--batch-sizes", type=json_argument, required=True, help="JSON list, such as [1, 32]")
    parser.add_argument("--threads", type=json_argument, required=True, help="JSON list, such as [1, 2]")
    parser.add_argument("--device", default="cpu", help="auto or cuda: torch variants on a GPU, too")
    parser.add_argument("--repeats", type=int, required=True, help="rounds")
    parser.add_argument("--texts-measured", type=int, required=True, help="texts in a round")
    parser.add_argument("--starts", type=int, default=1, help="how often each variant is started, at least")
    parser.add_argument("--output", type=Path, required=True, help="serving.json")
    run_step(parser, main)
