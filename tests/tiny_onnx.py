"""A tiny BERT of one layer and one head, written as a model's folder and as an ONNX graph, without torch."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from shallower.core.files import write_json
from tiny import WORDS

SIZE, INNER, POSITIONS = 16, 32, 32
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = {token: index for index, token in enumerate([*SPECIAL, *WORDS])}
LAYER = "bert.encoder.layer.0"
EPSILON = 1e-12


def tiny_weights(outputs: int) -> dict[str, np.ndarray]:
    """Random weights under transformers' names."""
    random = np.random.default_rng(0)
    rows = {"word": len(VOCABULARY), "position": POSITIONS, "token_type": 2}
    shapes = {f"bert.embeddings.{kind}_embeddings.weight": (number, SIZE) for kind, number in rows.items()}
    linear = {
        f"{LAYER}.attention.self.query": (SIZE, SIZE),
        f"{LAYER}.attention.self.key": (SIZE, SIZE),
        f"{LAYER}.attention.self.value": (SIZE, SIZE),
        f"{LAYER}.attention.output.dense": (SIZE, SIZE),
        f"{LAYER}.intermediate.dense": (INNER, SIZE),
        f"{LAYER}.output.dense": (SIZE, INNER),
        "bert.pooler.dense": (SIZE, SIZE),
        "classifier": (outputs, SIZE),
    }
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for place in ("bert.embeddings", f"{LAYER}.attention.output", f"{LAYER}.output"):
        shapes |= {f"{place}.LayerNorm.weight": (SIZE,), f"{place}.LayerNorm.bias": (SIZE,)}
    return {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def write_run(folder: Path, weights: dict[str, np.ndarray], labels: list[str]) -> Path:
    """A fine-tuned model's folder, as a study leaves it."""
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": len(VOCABULARY),
        "hidden_size": SIZE,
        "hidden_act": "relu",
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "problem_type": "regression" if len(labels) == 1 else "single_label_classification",
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
    write_json(folder / "config.json", config)
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    return folder


def write_onnx(path: Path, weights: dict[str, np.ndarray]) -> None:
    """The same model as an ONNX graph with dynamic numbers of texts and tokens."""
    values = {
        name: value.T if value.ndim == 2 and "embeddings" not in name else value for name, value in weights.items()
    }
    values |= {
        "one": np.float32(1),
        "large": np.float32(-1e9),
        "scale": np.float32(1 / math.sqrt(SIZE)),
        "first": np.int64(0),
        "axes": np.array([1], np.int64),
        "start": np.array([0], np.int64),
        "length_axis": np.array([1], np.int64),
    }
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, *inputs: str, **attributes: object) -> str:
        output = f"value{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def linear(value: str, name: str) -> str:
        return add("Add", add("MatMul", value, f"{name}.weight"), f"{name}.bias")

    def norm(value: str, name: str) -> str:
        return add("LayerNormalization", value, f"{name}.LayerNorm.weight", f"{name}.LayerNorm.bias", epsilon=EPSILON)

    words = add("Gather", "bert.embeddings.word_embeddings.weight", "input_ids")
    types = add("Gather", "bert.embeddings.token_type_embeddings.weight", "token_type_ids")
    length = add("Gather", add("Shape", "input_ids"), "length_axis")
    positions = add("Slice", "bert.embeddings.position_embeddings.weight", "start", length)
    hidden = norm(add("Add", add("Add", words, types), positions), "bert.embeddings")

    mask = add("Unsqueeze", add("Cast", "attention_mask", to=TensorProto.FLOAT), "axes")
    hiding = add("Mul", add("Sub", "one", mask), "large")
    query, key, value = (linear(hidden, f"{LAYER}.attention.self.{part}") for part in ("query", "key", "value"))
    scores = add("Mul", add("MatMul", query, add("Transpose", key, perm=[0, 2, 1])), "scale")
    mixed = add("MatMul", add("Softmax", add("Add", scores, hiding), axis=-1), value)
    attended = add("Add", linear(mixed, f"{LAYER}.attention.output.dense"), hidden)
    hidden = norm(attended, f"{LAYER}.attention.output")
    inner = add("Relu", linear(hidden, f"{LAYER}.intermediate.dense"))
    hidden = norm(add("Add", linear(inner, f"{LAYER}.output.dense"), hidden), f"{LAYER}.output")

    pooled = add("Tanh", linear(add("Gather", hidden, "first", axis=1), "bert.pooler.dense"))
    nodes.append(helper.make_node("Identity", [linear(pooled, "classifier")], ["logits"]))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "token_type_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "outputs"])]
    constants = [numpy_helper.from_array(np.array(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def quantise(source: Path, target: Path) -> None:
    """The int8 form of an ONNX file."""
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)


def logits_of(model: Path, tokenizer_file: Path, texts: list[list[str]], max_length: int) -> np.ndarray:
    """Logits [n, outputs] of an ONNX file, one text at a time, so that nothing is padded."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(max_length)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = []
    for parts in texts:
        encoding = tokenizer.encode(*parts)
        inputs = {
            "input_ids": [encoding.ids],
            "token_type_ids": [encoding.type_ids],
            "attention_mask": [encoding.attention_mask],
        }
        (logits,) = session.run(["logits"], {name: np.array(value, np.int64) for name, value in inputs.items()})
        rows.append(logits[0])
    return np.stack(rows)
