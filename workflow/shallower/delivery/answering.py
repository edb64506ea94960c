"""A program that answers texts with one form of a delivered model, in a process that has only the form's packages.

It imports nothing of this library, so that it runs in an environment without it:

    python -I answering.py RUNTIME FOLDER < question.json > answer.json

The question has `texts`, lists of one or two texts each, `batch_size`, `model_class`, `embedding` and the keys of
`Inputs`; the answer has `logits`, a list of the outputs for each text (or each word of all texts), and `versions` of
the packages. Of a model that answers with vectors, `embedding` says how those of a text's tokens become one (`pooling`,
`normalize`), and the outputs are that vector; it is null for others.
Packages that the form must do without cannot be imported in this process, wherever they are installed.
"""

import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Any

# Of models that answer each word of a text.
OF_WORDS = "AutoModelForTokenClassification"
TRANSFORMERS_PACKAGES = ("torch", "transformers")
ONNX_PACKAGES = ("onnxruntime", "tokenizers", "numpy")


class Absent(MetaPathFinder):
    """Makes packages count as not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def with_transformers(folder: str, question: dict[str, Any]) -> list[list[float]]:
    """Logits by from_pretrained alone, as the model's card shows it."""
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = getattr(transformers, question["model_class"]).from_pretrained(
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    model.eval()
    logits = []
    with torch.inference_mode():
        for batch in batches(question):
            texts = [list(column) for column in zip(*batch, strict=True)]
            inputs = tokenizer(*texts, padding=True, truncation=True, return_tensors="pt")
            outputs = model(**inputs)
            if question["embedding"]:
                logits += text_vectors(outputs.last_hidden_state, inputs["attention_mask"], **question["embedding"])
                continue
            found = outputs.logits.tolist()
            if question["model_class"] == OF_WORDS:
                offsets = tokenizer(*texts, padding=True, truncation=True, return_offsets_mapping=True)
                found = rows_of_words(texts[0], offsets["offset_mapping"], found)
            logits += found
    return logits


def text_vectors(states: Any, mask: Any, pooling: str, normalize: bool) -> list[list[float]]:
    """A vector of each text, of the states [texts, tokens, size] of its tokens, as sentence-transformers makes it."""
    import torch

    vectors = []
    for text, is_token in zip(states, mask.bool(), strict=True):
        tokens = text[is_token]
        vectors.append(
            {
                "cls": lambda tokens=tokens: tokens[0],
                "max": lambda tokens=tokens: tokens.amax(0),
                "mean": lambda tokens=tokens: tokens.mean(0),
                "mean_sqrt_len_tokens": lambda tokens=tokens: tokens.sum(0) / len(tokens) ** 0.5,
            }[pooling]()
        )
    stacked = torch.stack(vectors)
    found: list[list[float]] = (torch.nn.functional.normalize(stacked) if normalize else stacked).tolist()
    return found


def rows_of_words(texts: Sequence[str], offsets: Any, logits: Any) -> list[list[float]]:
    """The logits of each word's first token, of all texts one after another; blanks are between words."""
    rows = []
    for text, spans, found in zip(texts, offsets, logits, strict=True):
        start = 0
        for word in text.split(" "):
            end = start + len(word)
            of_word = (at for at, (first, last) in enumerate(spans) if first < last and first < end and last > start)
            rows.append(found[next(of_word)])
            start = end + 1
    return rows


def with_onnxruntime(folder: str, question: dict[str, Any], model: str) -> list[list[float]]:
    """Logits by ONNX Runtime, with a tokenizer of the tokenizers library."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(question["max_length"])
    tokenizer.enable_padding(
        direction=question["padding_side"],
        pad_id=question["pad_token_id"],
        pad_type_id=question["pad_token_type_id"],
        pad_token=question["pad_token"],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/{model}", options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    logits: list[list[float]] = []
    for batch in batches(question):
        encodings = tokenizer.encode_batch([tuple(texts) if len(texts) > 1 else texts[0] for texts in batch])
        arrays = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], np.int64),
        }
        (found,) = session.run(None, {name: arrays[name] for name in names})
        if question["model_class"] == OF_WORDS:
            offsets = [encoding.offsets for encoding in encodings]
            logits += rows_of_words([texts[0] for texts in batch], offsets, found.tolist())
        else:
            logits += found.tolist()
    return logits


def batches(question: dict[str, Any]) -> list[list[list[str]]]:
    """The texts in batches of the size that was asked for."""
    texts, size = question["texts"], question["batch_size"]
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def main() -> None:
    runtime, folder = sys.argv[1:]
    # The reader takes JSON alone from the standard output; libraries may print.
    answer_file, sys.stdout = sys.stdout, sys.stderr
    question = json.load(sys.stdin)
    packages: tuple[str, ...]
    absent: tuple[str, ...]
    if runtime == "torch":
        # Others are only looked for here: transformers asks what is installed, and must get an answer.
        packages, absent = TRANSFORMERS_PACKAGES, ("shallower",)
    else:
        packages, absent = ONNX_PACKAGES, ("torch", "transformers", "onnx", "safetensors", "shallower")
    sys.meta_path.insert(0, Absent(absent))
    if runtime == "torch":
        logits = with_transformers(folder, question)
    else:
        logits = with_onnxruntime(folder, question, question["model"])
    others = {"onnxruntime"} if runtime == "torch" else set(absent)
    if loaded := sorted(others & set(sys.modules)):
        raise RuntimeError(f"the form needs {', '.join(loaded)}")
    json.dump({"logits": logits, "versions": {name: version(name) for name in packages}}, answer_file)


if __name__ == "__main__":
    main()
