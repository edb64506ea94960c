"""Check that a fine-tuned model, loaded with plain from_pretrained as users load it, gives the stored predictions.

Predictions may come from another computation of the same model (see `shallower.engine.classifiers.base`), so the
examples that are answered again are those where two computations are most likely to differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.batches import make_batch, rows_of
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs, read_rows
from shallower.engine.prediction import cosines
from shallower.engine.tokens import TokenSet
from shallower.evaluation.predictions import Predictions
from shallower.evaluation.retrieval import Found
from shallower.models.folder import CONFIG
from shallower.models.pooling import embed
from shallower.models.sentence_embedding import SentenceEmbedding

# Validation examples that each model answers again, where there are so many; more if its outputs are many.
EXAMPLES = 16
# Outputs and classes of which an example each is chosen, of models with many.
CLASSES = 16
BATCH_SIZE = 8
# Largest difference of a logit that rounding explains, as a share of the largest logit (of 1, when all are smaller).
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Comparison:
    """How many examples a model answered again, and how far its logits were from the stored ones at most."""

    examples: int
    largest_difference: float


def compare_reloaded(model_dir: str | Path, tokens: TokenSet, predictions: Predictions) -> Comparison:
    """Compare stored logits of `telling_examples` with those of a freshly loaded model.

    Raises UserError when they are further off than rounding explains, when they are of other examples, or when the
    model does not load.
    """
    ids = tokens.ids[: tokens.queries] if tokens.queries else np.unique(tokens.ids)
    if not np.array_equal(ids, predictions.ids):
        raise UserError(
            f"{model_dir}: predictions.parquet is of other examples than the tokens; delete it and run again"
        )
    embedding = SentenceEmbedding.of(read_json(Path(model_dir) / CONFIG))
    model = load_checked(model_dir)
    if predictions.found is not None:
        examples, rows, stored = _found(tokens, predictions.found)
    else:
        logits = predictions.logits[np.searchsorted(predictions.ids, tokens.ids)]
        examples = telling_examples(tokens, logits)
        if tokens.pairs:
            examples = rows_of(tokens.units(), np.unique(examples // 2))
        rows = examples[::2] if tokens.pairs else tokens.rows(examples)
        stored = logits[rows]
    theirs = []
    with torch.inference_mode():
        for start in range(0, len(examples), BATCH_SIZE):
            batch = make_batch(tokens, examples[start : start + BATCH_SIZE])
            outputs = model(**model_inputs(model, batch, "cpu"))
            if embedding is None:
                theirs.append(read_rows(outputs.logits, batch).numpy())
            else:
                mask = None if batch.attention_mask is None else torch.from_numpy(batch.attention_mask).bool()
                theirs.append(embed(outputs.last_hidden_state, mask, embedding.pooling, embedding.normalize).numpy())
    answers = np.concatenate(theirs)
    are_pairs = tokens.pairs or predictions.found is not None
    differences = np.abs((cosines(answers) if are_pairs else answers) - stored).max(axis=1)
    difference = float(differences.max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(stored).max())):
        raise UserError(
            f"{model_dir}: loaded with from_pretrained, the model's logits are up to {difference:.2g} off the stored "
            f"predictions (most for the example with id {tokens.ids[rows[differences.argmax()]]}); delete the "
            "folder and run again, and report it if it happens again"
        )
    return Comparison(len(examples), difference)


def _found(tokens: TokenSet, found: Found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries and documents to answer again, two by two [2 * n]; the queries [n], and the stored cosines [n, 1].

    Of queries from the first to the last the documents that were found first and last.
    """
    queries = np.unique(np.linspace(0, tokens.queries - 1, EXAMPLES // 2).astype(np.int64)).repeat(2)
    ranks = np.resize([0, found.documents.shape[1] - 1], len(queries))
    documents = np.searchsorted(tokens.ids, found.documents[queries, ranks])
    return np.stack([queries, documents], axis=1).ravel(), queries, found.cosines[queries, ranks][:, None]


def telling_examples(tokens: TokenSet, logits: np.ndarray) -> np.ndarray:
    """Positions [n] of the examples to answer again, ascending and without repeats; the same ones for the same input.

    The longest and the shortest; those with most special tokens inside their texts, with special tokens side by side
    (an empty text) and with least and most of a second text; one of each class, and the surest of each output; then the
    first ones. `logits` [N, outputs] are the stored ones, in the token set's order.
    """
    chosen, owners = dict.fromkeys(_rare(tokens)), tokens.owners
    for output in range(min(CLASSES, logits.shape[1])):
        chosen |= dict.fromkeys(owners[[logits[:, output].argmax(), logits[:, output].argmin()]].tolist())
    if np.issubdtype(tokens.labels.dtype, np.integer):
        _, first = np.unique(tokens.labels, axis=0, return_index=True)
        chosen |= dict.fromkeys(owners[first[:CLASSES]].tolist())
    others = (example for example in range(tokens.size) if example not in chosen)
    while len(chosen) < min(EXAMPLES, tokens.size):
        chosen[next(others)] = None
    return np.sort(np.fromiter(chosen, np.int64))


def _rare(tokens: TokenSet) -> Iterator[int]:
    """The examples at the ends: of lengths, of special tokens, of second texts."""
    lengths = np.diff(tokens.offsets)
    yield int(lengths.argmax())
    yield int(lengths.argmin())
    owners = np.repeat(np.arange(len(lengths)), lengths)

    def counts(of: np.ndarray) -> np.ndarray:
        return np.bincount(owners, of, len(lengths))

    # What every example has is put there by the tokenizer: [CLS], [SEP].
    start, stop = tokens.offsets[lengths.argmin()], tokens.offsets[lengths.argmin() + 1]
    candidates = np.unique(tokens.input_ids[start:stop])
    common = [token for token in candidates if counts(tokens.input_ids == token).min() > 0]
    special = np.unique(
        [*common, *(token for token in (tokens.pad_token_id, tokens.cls_token_id) if token is not None)]
    )
    for token in special:
        yield int(counts(tokens.input_ids == token).argmax())
    is_special = np.isin(tokens.input_ids, special)
    beside = is_special[1:] & is_special[:-1] & (owners[1:] == owners[:-1])
    yield int(counts(np.append(beside, False)).argmax())
    if tokens.token_type_ids is not None:
        second = counts(tokens.token_type_ids != 0)
        yield int(second.argmin())
        yield int(second.argmax())
