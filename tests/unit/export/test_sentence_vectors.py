"""Sentence embeddings as ONNX and as delivered: the vector of a text, by every form, as transformers pooled by hand."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from huggingface_hub import ModelCard
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

import tiny_embedding
from delivered_models import SCORE, describe
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.model_classes import NO_HEAD
from shallower.core.variants import INT8, ONNX, TORCH
from shallower.delivery.check import check_folder
from shallower.delivery.description import Form, Inputs
from shallower.delivery.folder import make_folder
from shallower.delivery.parity import Examples, choose_pairs
from shallower.export.onnx_export import OnnxExporter
from shallower.export.quantisation import quantise
from shallower.models.sentence_embedding import read_embedding
from shallower.serving.served_models import ServedModel, server_settings
from shallower.serving.server import onnx_runtime, torch_runtime

TEXTS = ["the good dog", "sun", "one two three four five six", "a warm summer evening with a friend", "play", "a cat"]
# In the same process as torch, packages are hidden by the program itself.
ABSENT = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "safetensors", "onnx", "shallower"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


def model_folder(folder, family, **options):
    """A tiny embedding of one layer, with its pooling in config.json."""
    folder = tiny_embedding.make_embedding_model(folder, family, num_layers=1, **options)
    embedding = read_embedding(lambda name: read_json(folder / name), [path.name for path in folder.iterdir()])
    write_json(folder / "config.json", embedding.within(read_json(folder / "config.json")))
    return folder, embedding


def by_hand(folder, embedding):
    """Vectors [n, size] of the texts, one at a time, so that nothing is padded."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for text in TEXTS:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        vector = {"cls": states[0], "mean": states.mean(0), "max": states.max(0)}[embedding.pooling]
        vectors.append(vector / np.linalg.norm(vector) if embedding.normalize else vector)
    return np.array(vectors)


@pytest.mark.parametrize(
    ("family", "pooling", "normalize"),
    [
        ("bert", "mean", True),
        ("bert", "cls", False),
        pytest.param("distilbert", "max", False, marks=pytest.mark.slow),
        pytest.param("gpt2", "cls", True, marks=pytest.mark.slow),
    ],
)
def test_the_output_is_the_vector_of_each_text_whatever_else_is_in_its_batch(tmp_path, family, pooling, normalize):
    folder, embedding = model_folder(tmp_path / "model", family, pooling=pooling, normalize=normalize)
    file, expected = tmp_path / "model.onnx", by_hand(folder, embedding)
    OnnxExporter().export(folder, file)
    graph = onnx.load(file).graph
    assert [output.name for output in graph.output] == ["sentence_embedding"]
    products = {node.name: node for node in graph.node if node.op_type == "MatMul"}
    last = {"bert": "bert.encoder.layer.0.output.dense", "distilbert": "distilbert.transformer.layer.0.ffn.lin2"}
    assert family not in last or f"{last[family]}/MatMul" in products
    settings = server_settings(ServedModel("m", "torch", folder, folder / "tokenizer.json", 24), 1, TEXTS[0])
    for runtime, path in ((torch_runtime, folder), (onnx_runtime, file)):
        answer = runtime({**settings, "path": str(path)})(1)
        np.testing.assert_allclose(answer(TEXTS), expected, atol=1e-5)
        np.testing.assert_allclose(answer(TEXTS[1:2]), expected[1:2], atol=1e-5)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A model, its ONNX forms, and what describes them."""
    place = tmp_path_factory.mktemp("vectors")
    folder, embedding = model_folder(place / "run", "bert")
    onnx_files = {ONNX: place / "model.onnx", INT8: place / "int8.onnx"}
    OnnxExporter().export(folder, onnx_files[ONNX])
    quantise(onnx_files[ONNX], onnx_files[INT8])
    score = replace(SCORE, metric="spearmanr", title="Spearman correlation")
    files = {TORCH: folder / "model.safetensors", **onnx_files}
    token = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("[PAD]")
    delivered = describe(
        labels=None,
        task="similar",
        target="embedding",
        model_class=NO_HEAD,
        embedding=embedding,
        inputs=Inputs(24, "[PAD]", token),
        recommended=ONNX,
        forms=tuple(Form(runtime, path.stat().st_size, score) for runtime, path in files.items()),
    )
    unit = by_hand(folder, embedding)
    examples = choose_pairs(
        [[f" {first} ", second] for first, second in zip(TEXTS[::2], TEXTS[1::2], strict=True)],
        (unit[::2] * unit[1::2]).sum(axis=1, keepdims=True),
    )
    return folder, delivered, examples, onnx_files, unit


@pytest.fixture(scope="module")
def delivered_folder(material, tmp_path_factory):
    folder, delivered, examples, onnx_files, _ = material
    made = tmp_path_factory.mktemp("delivered") / "minilm" / "similar"
    make_folder(made, delivered, folder, examples, onnx_files)
    return made


def test_a_delivered_folder_is_one_of_sentence_transformers_and_every_form_gives_its_vectors(
    material, delivered_folder
):
    *_, expected = material
    record = read_json(delivered_folder / "parity.json")
    assert [text for (text,) in record["texts"]] == TEXTS
    np.testing.assert_allclose(record["logits"]["fp32"], expected, atol=1e-6)
    assert record["tolerances"]["fp32"] == pytest.approx(1e-4 * np.abs(expected).max(), rel=1e-4)
    found = list(check_folder(delivered_folder))
    assert [finding.problem for finding in found] == [""] * 4
    assert read_json(delivered_folder / "1_Pooling/config.json")["pooling_mode_mean_tokens"]
    modules = read_json(delivered_folder / "modules.json")
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    config = read_json(delivered_folder / "config.json")
    assert config["architectures"] == ["BertModel"]
    assert "num_labels" not in config


def test_sentence_transformers_encodes_the_same(material, delivered_folder):
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not a package of this project")
    *_, expected = material
    model = sentence_transformers.SentenceTransformer(str(delivered_folder), device="cpu")
    np.testing.assert_allclose(model.encode([f" {text} " for text in TEXTS]), expected, atol=1e-5)


def test_cosines_that_were_not_scored_are_not_delivered(material, tmp_path):
    folder, delivered, examples, onnx_files, _ = material
    wrong = Examples(examples.texts, examples.logits + 0.01, of_pairs=True)
    with pytest.raises(UserError, match=r"cosines of texts up to 0\.01 off those that were scored"):
        make_folder(tmp_path / "a" / "b", delivered, folder, wrong, onnx_files)


def test_the_card_says_how_to_get_vectors_and_its_code_runs(material, delivered_folder):
    *_, expected = material
    card = (delivered_folder / "README.md").read_text(encoding="utf-8")
    data = ModelCard(card).data
    assert (data.library_name, data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    assert "sentence-transformers" in data.tags
    assert [result.metric_type for result in data.eval_results] == ["spearmanr"]
    assert "It gives each text a vector of length 1" in card
    assert "the mean of those of all tokens after the last layer" in card
    packaged, transformers, onnx_block = re.findall(r"^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)
    assert "SentenceTransformer(folder)" in packaged
    for block in (transformers, ABSENT + onnx_block):
        texts = re.sub(r"^texts = .*?\]$", f"texts = {TEXTS!r}", block, flags=re.MULTILINE | re.DOTALL)
        done = subprocess.run(
            [sys.executable, "-I", "-c", f"{texts}\nprint('vectors', vectors.tolist())"],
            cwd=delivered_folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        printed = done.stdout.split("vectors ")[1]
        np.testing.assert_allclose(np.array(ast.literal_eval(printed)), expected, atol=1e-5)
