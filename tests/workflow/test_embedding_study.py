"""Studies of sentence embeddings, from a folder of sentence-transformers to folders of the same kind.

Real data is tried where environment variables name its folders: STS-B with SHALLOWER_GLUE, SICK with SHALLOWER_EXTRA.
"""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy import stats

from collection_files import extra_folder, make_collection
from glue_files import glue_folder
from project import ROOT, Project
from shallower.core.files import read_json
from shallower.delivery.check import check_folder
from tiny_embedding import as_embedding

pytestmark = pytest.mark.slow

TOP = "results/tiny/bert/tiny/finetuned/top-1/seed1"


@pytest.fixture(scope="module")
def project(finish, tmp_path_factory):
    model = tmp_path_factory.mktemp("embedding") / "model"

    def change(study):
        as_embedding(study, model)
        study["models"][0]["directory"] = str(model)
        study["origins"] = study["origins"][1:]

    return finish("embedding", change, pair=True, regression=True)


@pytest.mark.timeout(900)
def test_what_comes_out_is_a_folder_of_sentence_transformers_with_its_scores(project):
    folder = project.folder / TOP
    modules = read_json(folder / "modules.json")
    kinds = ["Transformer", "Pooling", "Normalize"]
    assert [module["type"] for module in modules] == [f"sentence_transformers.models.{kind}" for kind in kinds]
    assert read_json(folder / "1_Pooling/config.json")["pooling_mode_mean_tokens"]
    assert read_json(folder / "sentence_bert_config.json")["max_seq_length"] == 24  # the model's own, below the study's
    assert read_json(folder / "config.json")["num_hidden_layers"] == 3
    metrics, table = read_json(folder / "metrics.json"), pq.read_table(folder / "predictions.parquet")
    cosines = np.array(table["logits"].to_pylist())[:, 0]
    assert metrics["metrics"]["spearmanr"]["value"] == pytest.approx(stats.spearmanr(table["label"], cosines).statistic)
    assert metrics["num_examples"] == len(cosines) == 32
    assert (table["label"].to_numpy() >= 0).all()
    assert (table["label"].to_numpy() <= 1).all()


@pytest.mark.timeout(900)
def test_the_teacher_answers_single_texts_and_the_baseline_is_the_model_as_it_is(project):
    baseline = project.folder / "results/tiny/bert/tiny/baseline/seed1"
    assert read_json(baseline / "manifest.json")["steps"] == 0
    manifest = read_json(project.folder / TOP / "manifest.json")
    # 64 training pairs, and 24 texts of which 27 in the file are new.
    assert (manifest["examples"], manifest["unlabelled_examples"]) == (64, 24)
    assert manifest["steps"] == 2 * 6
    assert (baseline / "teacher.safetensors").stat().st_size > (2 * 64 + 24) * 32 * 4
    reloaded = (project.folder / "results/tiny/bert/tiny/reloaded.csv").read_text().splitlines()
    assert len(reloaded) == 3


@pytest.fixture(scope="module")
def delivering(finish, tmp_path_factory):
    """Pairs to score and a collection to search, without labelled rows to train on, and delivered models."""
    place = tmp_path_factory.mktemp("delivering")

    def change(study):
        as_embedding(study, place / "model")
        study["models"][0]["directory"] = str(place / "model")
        study["origins"] = study["origins"][1:]
        (pairs,) = study["tasks"]
        del pairs["train_file"]
        texts = {key: pairs[key] for key in ("unlabelled_file", "unlabelled_text")}
        study["tasks"] = [pairs, make_collection(place / "collection") | texts | {"name": "search"}]
        study["budget"], study["deliver"] = {"layers": 3}, {"vocabularies": ["trimmed"]}
        study["measure"] |= {"texts": 4, "batch_sizes": [1, 2]}

    return finish("vectors", change, pair=True, regression=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", ["tiny", "search"])
def test_models_that_learn_from_texts_alone_are_delivered_in_every_form(delivering, task):
    results = delivering.folder / f"results/tiny/bert/{task}"
    manifest = read_json(results / "finetuned/top-1/seed1/manifest.json")
    assert manifest["examples"] == 0
    assert manifest["unlabelled_examples"] > 20
    assert manifest["steps"] > 0
    folder = delivering.folder / f"results/tiny/delivered/bert/{task}"
    found = list(check_folder(folder))
    assert [finding.problem for finding in found] == [""] * len(found)
    assert {finding.subject.rpartition(", ")[2] for finding in found} >= {"files", "torch", "onnx"}
    assert {"modules.json", "1_Pooling"} <= {path.name for path in folder.iterdir()}
    # The vocabulary is that of the texts that teach.
    kept = read_json(next(delivering.folder.glob(f"resources/tokens/bert-*/{task}-*/*/trimmed1-*/vocabulary.json")))
    assert {"train.safetensors", "unlabelled.safetensors"} <= {*kept["sha256"]}
    assert kept["counted_tokens"] > 100
    with (delivering.folder / "results/tiny/variants.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == task]
    scores = {(row["runtime"], row["vocabulary"], row["num_layers"]): float(row["score"]) for row in rows}
    for (runtime, vocabulary, layers), score in scores.items():
        if runtime == "onnx":
            assert score == pytest.approx(scores["torch", vocabulary, layers], abs=0.02)


@pytest.mark.timeout(1800)
def test_a_collection_is_searched_and_scored_by_query(delivering):
    folder = delivering.folder / "results/tiny/bert/search/baseline/seed1"
    record, table = read_json(folder / "metrics.json"), pq.read_table(folder / "predictions.parquet")
    assert {*record["metrics"]} == {"ndcg_at_10", "mrr_at_10", "recall_at_10", "recall_at_100"}
    assert record["primary"] == "ndcg_at_10"
    assert record["num_examples"] == len(table) == 6
    assert record["metrics"]["recall_at_100"]["value"] == 1.0  # there are 20 documents
    texts = pq.read_table(next(delivering.folder.glob("resources/tasks/search-*/validation.parquet"))).to_pylist()
    for row in table.to_pylist():
        judged = dict(zip(texts[row["id"]]["documents"], texts[row["id"]]["label"], strict=True))
        assert row["logits"] == [judged.get(document, 0.0) for document in row["documents"]]
        assert row["cosines"] == sorted(row["cosines"], reverse=True)
    report = (delivering.folder / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "nDCG@10" in report


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("task", "expected"), [("stsb", 0.8672), ("sick", 0.7758)])
def test_minilm_scores_what_is_published(tmp_path, task, expected):
    """The Spearman correlation of all-MiniLM-L6-v2's cosines: of STS-B's validation set, and of all pairs of SICK."""
    study = yaml.safe_load((ROOT / "studies/embedding.yaml").read_text(encoding="utf-8"))
    if task == "stsb":
        study["glue_directory"] = str(glue_folder())
    else:
        study["tasks"] = [
            {
                "name": "sick",
                "source": "files",
                "validation_file": str(extra_folder() / "sick/*.parquet"),
                "text": ["sentence1", "sentence2"],
                "label": "relatedness",
                "similarity_range": [1, 5],
                "target": "embedding",
                "metrics": ["spearmanr"],
            }
        ]
    study["origins"] = study["origins"][:1]
    study["strategies"] = [{"name": "custom", "amounts": [[4]]}]
    project = Project.create(tmp_path / "project", study)
    baseline = f"results/embedding/minilm/{task}/baseline/seed1"
    project.run(f"{baseline}/metrics.json")
    found = read_json(project.folder / baseline / "metrics.json")["metrics"]
    assert round(found["spearmanr"]["value"], 4) == expected
