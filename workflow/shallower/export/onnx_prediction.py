"""Predictions of ONNX models by onnxruntime on the CPU, without torch."""

import logging
from pathlib import Path

import numpy as np

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.limits import CPU_TOKENS
from shallower.core.progress import Progress
from shallower.engine.batches import Batch, evaluation_batches, make_batch
from shallower.engine.tokens import TokenSet
from shallower.export.packages import required

logger = logging.getLogger(__name__)

# Of onnxruntime's log: nothing below an error, which raises an exception anyway.
ERRORS_ONLY = 3


class OnnxModel:
    """A model in an ONNX file, set up as a server would: one request at a time, on `threads` threads.

    Raises UserError, naming the file, when it is missing or onnxruntime cannot read it, and when onnxruntime is not
    installed.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        onnxruntime = required("onnxruntime")
        if not Path(path).is_file():
            raise UserError(f"{path}: file not found")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # onnxruntime's exceptions have no class of their own in common.
            if type(error).__module__ != "onnxruntime.capi.onnxruntime_pybind11_state":
                raise
            raise corrupt_file_error(path, f"onnxruntime cannot load it ({error})") from None
        self.inputs = tuple(each.name for each in self._session.get_inputs())

    def compute(self, batch: Batch) -> np.ndarray:
        """Logits of a batch, float32, of its rows of labels [R, outputs], or vectors of its texts [B, size]."""
        mask, types = batch.attention_mask, batch.token_type_ids
        arrays = {
            "input_ids": batch.input_ids,
            "attention_mask": np.ones_like(batch.input_ids) if mask is None else mask,
            "token_type_ids": np.zeros_like(batch.input_ids) if types is None else types,
        }
        (logits,) = self._session.run(None, {name: arrays[name] for name in self.inputs})
        return logits if batch.places is None else logits[batch.places]


def predict(model: OnnxModel, tokens: TokenSet) -> np.ndarray:
    """Logits of every row of labels, float32 [R, outputs], in the token set's order.

    Batches have examples of similar lengths, longest first, as when torch predicts. Of a quantised model an answer may
    depend on the batch: the scale of each activation is that of the whole batch.
    """
    batches = evaluation_batches(np.diff(tokens.offsets), CPU_TOKENS)
    parts, done, progress = [], 0, Progress(logger)
    for examples in batches:
        parts.append(model.compute(make_batch(tokens, examples)))
        done += len(examples)
        progress.log("predicted %d of %d examples", done, tokens.size)
    computed = np.concatenate(parts)
    logits = np.empty_like(computed)
    logits[np.concatenate([tokens.rows(examples) for examples in batches])] = computed
    return logits
