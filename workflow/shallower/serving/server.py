"""A process that only serves: one model in one form, which answers batches of texts.

It imports nothing but the packages that its form needs, so that its memory and its start are those of a user's server.
`shallower.serving.processes` starts it with the number of a pipe's file descriptor. Over the pipe, in JSON, first
come the settings of `shallower.serving.served_models.server_settings`, then batches of texts and with how many threads
they are answered. Packages are imported once, whatever the numbers of threads.
"""

import inspect
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shallower.core.model_classes import TOKEN_CLASSIFICATION
from shallower.core.signals import ignore_signals

# Answers a batch of texts, or of pairs of them: logits [texts, outputs], or [texts, longest, outputs] of all tokens.
Answer = Callable[[Sequence[Any]], Any]
# Loads a model, to answer with so many threads.
Load = Callable[[int], Answer]
# Imports a form's packages and returns what loads the model.
Runtime = Callable[[dict[str, Any]], Load]

# So many texts of a turn's first batch are answered, untimed, until so many seconds have passed: other processes have
# used the processor's caches meanwhile, and threads of the previous one may still be spinning.
WARM_UP_TEXTS, WARM_UP_SECONDS = 8, 0.05


def torch_runtime(settings: dict[str, Any]) -> Load:
    """transformers' own model, in eval mode under inference_mode; of sentence embeddings with the pooling behind it."""
    import numpy as np
    import torch
    import transformers
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    device = settings["device"]

    def load(threads: int) -> Answer:
        torch.set_num_threads(threads)
        tokenize = _tokenizer(settings, np)
        model = getattr(transformers, settings["model_class"]).from_pretrained(
            settings["path"],
            dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[settings["precision"]],
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
        model = model.eval().to(device)
        accepted = inspect.signature(model.forward).parameters
        more, embedding = settings["forward_arguments"], settings["embedding"]
        if embedding:
            from shallower.models.pooling import embed

        @torch.inference_mode()
        def answer(texts: Sequence[Any]) -> Any:
            arrays = tokenize(texts).items()
            inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays if name in accepted}
            outputs = model(**inputs, **more)
            if embedding:
                logits = embed(outputs.last_hidden_state, inputs["attention_mask"].bool(), **embedding)
            else:
                logits = outputs.logits
            # Copying the logits to the host waits until a GPU has computed them.
            return logits.float().cpu().numpy()

        return answer

    return load


def onnx_runtime(settings: dict[str, Any]) -> Load:
    """ONNX Runtime on the CPU, with its defaults but for the number of threads."""
    import numpy as np
    import onnxruntime

    def load(threads: int) -> Answer:
        tokenize = _tokenizer(settings, np)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(settings["path"], options, providers=["CPUExecutionProvider"])
        wanted = [node.name for node in session.get_inputs()]

        def answer(texts: Sequence[Any]) -> Any:
            arrays = tokenize(texts)
            return session.run(None, {name: arrays[name] for name in wanted})[0]

        return answer

    return load


RUNTIMES: dict[str, Runtime] = {"torch": torch_runtime, "onnx": onnx_runtime, "onnx-int8": onnx_runtime}


def _tokenizer(settings: dict[str, Any], np: Any) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """What makes arrays [texts, longest] of a batch, as int64, padded to its longest text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(settings["tokenizer"])
    pad_token, pad_id = settings["pad_token"], tokenizer.token_to_id(settings["pad_token"])
    if pad_id is None:
        raise ValueError(f"{settings['tokenizer']}: the padding token {pad_token!r} is not in the vocabulary")
    tokenizer.enable_truncation(settings["max_length"], strategy="longest_first")
    tokenizer.enable_padding(direction=settings["padding_side"], pad_id=pad_id, pad_token=pad_token)
    takes_token_types, one_token_type = settings["takes_token_types"], settings["one_token_type"]

    def tokenize(texts: Sequence[Any]) -> dict[str, Any]:
        encodings = tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        arrays = {"input_ids": ids, "attention_mask": mask}
        if takes_token_types:
            types = [encoding.type_ids for encoding in encodings]
            arrays["token_type_ids"] = np.zeros_like(ids) if one_token_type else np.array(types, np.int64)
        return arrays

    return tokenize


def peak_memory_bytes() -> int:
    """The most resident memory that this process has had, shared libraries included."""
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss would count the process that started this one, as it was when it did.
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS, in bytes


def gpu_facts() -> dict[str, Any]:
    """The name and UUID of the GPU in use, and the most memory that torch has had on it."""
    import torch

    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "gpu_uuid": f"GPU-{properties.uuid}",
        "peak_gpu_bytes": torch.cuda.max_memory_reserved(),
    }


def serve(pipe: Connection, settings: dict[str, Any], began: float) -> None:
    """Load the model, report that it is ready, and answer turns until the other end of the pipe closes.

    `began` is the time (of `time.perf_counter`) at which the process began. Ready means that a first text is answered.
    """
    load, threads = RUNTIMES[settings["runtime"]](settings), settings["threads"]
    imported = time.perf_counter()
    answer = _loaded(load, threads)
    axes = 3 if settings["model_class"] == TOKEN_CLASSIFICATION else 2
    checked(answer([settings["example"]]), 1, axes)
    ready = time.perf_counter()
    on_gpu = settings["device"] == "cuda"
    facts = {"start_seconds": ready - began, "load_seconds": ready - imported}
    _send(pipe, facts | memory(on_gpu))
    while True:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            asked = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        idle = {
            "idle_cpu_seconds": time.process_time() - cpu,
            "idle_wall_seconds": time.perf_counter() - wall,
        }
        if asked["threads"] != threads:
            del answer  # never two models in memory
            answer, threads = _loaded(load, asked["threads"]), asked["threads"]
        _send(pipe, turn(answer, asked["batches"], axes) | memory(on_gpu) | idle)


def _loaded(load: Load, threads: int) -> Answer:
    # The tokenizer reads it at each batch.
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
    return load(threads)


def turn(answer: Answer, batches: Sequence[Sequence[Any]], axes: int) -> dict[str, Any]:
    """Seconds of each batch, after a warm-up with texts of the first one, and the number of texts answered in all."""
    texts = batches[0][:WARM_UP_TEXTS]
    answered = 0
    began = time.perf_counter()
    while not answered or time.perf_counter() - began < WARM_UP_SECONDS:
        answer(texts)
        answered += len(texts)
    seconds = []
    for batch in batches:
        started = time.perf_counter()
        logits = answer(batch)
        seconds.append(time.perf_counter() - started)
        checked(logits, len(batch), axes)
        answered += len(batch)
    return {"seconds": seconds, "answered": answered}


def checked(logits: Any, texts: int, axes: int) -> None:
    """Raise ValueError unless logits, of so many axes, are numbers for each of so many texts."""
    if logits.ndim != axes or len(logits) != texts:
        raise ValueError(f"an output of shape {list(logits.shape)} for {texts} texts")
    if not abs(logits).max() < float("inf"):  # also false for NaN
        raise ValueError("logits that are not finite numbers")


def memory(on_gpu: bool) -> dict[str, Any]:
    """Peaks of memory so far."""
    return {"peak_memory_bytes": peak_memory_bytes()} | (gpu_facts() if on_gpu else {})


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())


def main() -> None:
    """Serve, and report an error over the pipe instead of a traceback."""
    began = time.perf_counter()
    ignore_signals()  # a Ctrl-C ends the process that started this one, which then closes the pipe
    pipe = Connection(int(sys.argv[1]))
    try:
        serve(pipe, json.loads(pipe.recv_bytes()), began)
    except (BrokenPipeError, EOFError):
        pass  # nobody waits for an answer
    except Exception as error:  # the process that reads it names the variant and ends
        _send(pipe, {"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
