"""The cost of a model at each depth: parameters, bytes and time of a forward pass.

It depends on the architecture and the depth, not on the weights, which are random here.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedModel

from shallower.core.errors import UserError
from shallower.core.progress import Progress
from shallower.engine.batches import Batch, make_batch
from shallower.engine.devices import Compute
from shallower.engine.tokens import TokenSet
from shallower.models.families import FAMILIES, family_of, position_limit
from shallower.models.sentence_embedding import SentenceEmbedding

logger = logging.getLogger(__name__)

WARM_UP_ROUNDS = 1
# No more rounds than these where each median is known to a share of it.
LEAST_ROUNDS, KNOWN_WITHIN = 5, 0.04


# What a model is called with: `input_ids` and `attention_mask`, int64 [B, L], the mask 1 for a token and 0 for padding.
Inputs = dict[str, torch.Tensor]


def random_batches(
    config: Mapping[str, Any], batch_sizes: Sequence[int], sequence_length: int
) -> dict[int, list[Inputs]]:
    """One batch of random tokens of each size, all sequences of one length, without padding.

    Raises UserError when sequences are longer than the model's positions.
    """
    # With what a short config.json leaves to defaults.
    whole = AutoConfig.for_model(**config).to_dict()
    limit = position_limit(whole)
    if limit is not None and sequence_length > limit:
        raise UserError(f"measure.sequence_length: {sequence_length} tokens, but the model has {limit} positions")
    generator = torch.Generator().manual_seed(0)
    found = {}
    for batch_size in batch_sizes:
        input_ids = torch.randint(whole["vocab_size"], (batch_size, sequence_length), generator=generator)
        found[batch_size] = [{"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}]
    return found


def batches_of_texts(tokens: TokenSet, batch_sizes: Sequence[int], texts: int) -> dict[int, list[Inputs]]:
    """Batches of each size of the same texts, drawn by chance, in a random order, padded to the longest of a batch.

    They are as many as whole batches of `texts` texts, but at least one; a text comes more than once only where there
    are fewer than that.
    """
    found = {}
    for batch_size in batch_sizes:
        number = max(1, texts // batch_size)
        order = np.random.default_rng(0).permutation(tokens.size)
        rows = np.resize(order, number * batch_size)
        batches = [make_batch(tokens, chosen) for chosen in np.split(rows, number)]
        found[batch_size] = [_inputs(batch) for batch in batches]
    return found


def _inputs(batch: Batch) -> Inputs:
    mask = np.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
    return {"input_ids": torch.from_numpy(batch.input_ids), "attention_mask": torch.from_numpy(mask)}


def measure_costs(
    config: Mapping[str, Any], batches: Mapping[int, Sequence[Inputs]], repeats: int, compute: Compute
) -> list[dict[str, Any]]:
    """Parameters, fp32 bytes and latency of a model of each depth from 1 to the full one, by its config.json.

    A model that answers with vectors of texts has no head; others are taken for classifiers of two classes.

    Latency is the time of the forward pass of a batch, in milliseconds, the mean over the `batches` of a size: median
    and quartiles of so many `rounds`. Every round measures all depths in random order, so that a change of the
    machine's speed affects all of them alike. There are `repeats` rounds, or fewer where all medians are known to 4 %.
    """
    depths = range(1, family_of(config).num_layers(config) + 1)
    models = _models(config, depths)
    for model in models.values():
        model.to(compute.device)  # type: ignore[arg-type]  # transformers' wrapper of to() loses its types
    costs: list[dict[str, Any]] = []
    for depth, model in models.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        costs.append({"depth": depth, "parameters": parameters, "bytes": 4 * parameters, "latency": []})
    for batch_size, of_size in batches.items():
        times = time_models(models, of_size, repeats, compute)
        for cost in costs:
            low, median, high = np.percentile(times[cost["depth"]], [25, 50, 75])
            cost["latency"].append(
                {
                    "batch_size": batch_size,
                    "rounds": len(times[cost["depth"]]),
                    "median_ms": round(float(median), 4),
                    "low_ms": round(float(low), 4),
                    "high_ms": round(float(high), 4),
                }
            )
    return costs


def time_models(
    models: Mapping[int, PreTrainedModel], batches: Sequence[Inputs], repeats: int, compute: Compute
) -> dict[int, list[float]]:
    """Milliseconds of a forward pass, the mean over batches, by the models' keys, after a warm-up.

    Each model passes through all batches once in a round, and there are at most `repeats` rounds.
    """
    on_device = [{name: tensor.to(compute.device) for name, tensor in batch.items()} for batch in batches]
    batch_size = len(batches[0]["input_ids"])
    arguments = {key: FAMILIES[model.config.model_type].forward_arguments for key, model in models.items()}
    order = random.Random(0)
    times: dict[int, list[float]] = {key: [] for key in models}
    progress = Progress(logger)
    with torch.inference_mode(), compute.autocast():
        for round_number in range(-WARM_UP_ROUNDS, repeats):
            for key in order.sample(list(models), len(models)):
                compute.synchronise()
                started = time.perf_counter()
                for batch in on_device:
                    models[key](**batch, **arguments[key])
                compute.synchronise()
                if round_number >= 0:
                    times[key].append(1000 * (time.perf_counter() - started) / len(batches))
            progress.log("batch size %d: round %d of %d", batch_size, round_number + 1, repeats)
            if round_number + 1 >= LEAST_ROUNDS and all(map(is_known, times.values())):
                break
    return times


def is_known(times: Sequence[float]) -> bool:
    """Whether the median of times lies within `KNOWN_WITHIN` of itself, by its 95 % interval.

    Half of that is 1.57 times the distance of the quartiles over the root of n (McGill, Tukey and Larsen, "Variations
    of box plots", 1978).
    """
    low, median, high = np.percentile(times, [25, 50, 75])
    return bool(1.57 * (high - low) / len(times) ** 0.5 <= KNOWN_WITHIN * median)


def _models(config: Mapping[str, Any], depths: Sequence[int]) -> dict[int, PreTrainedModel]:
    """A model of each depth. They share the tensors of the deepest, so that memory does not grow with depths."""
    has_head = SentenceEmbedding.of(config) is None
    auto_class: Any = AutoModelForSequenceClassification if has_head else AutoModel
    models: dict[int, PreTrainedModel] = {}
    weights: dict[str, torch.Tensor] = {}
    for depth in sorted(depths, reverse=True):
        shortened = family_of(config).shortened_config(config, range(depth))
        model_type = shortened.pop("model_type")
        settings = AutoConfig.for_model(model_type, **{**shortened, **({"num_labels": 2} if has_head else {})})
        model = auto_class.from_config(settings, dtype=torch.float32)
        weights = weights or model.state_dict()
        model.load_state_dict({name: weights[name] for name in model.state_dict()}, assign=True)
        models[depth] = model.eval()
    return dict(sorted(models.items()))
