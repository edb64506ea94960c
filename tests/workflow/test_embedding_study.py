"""A study of sentence embeddings, from a folder of sentence-transformers to folders of the same kind."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from shallower.core.files import read_json
from tiny_embedding import as_embedding

TOP = "results/tiny/bert/tiny/finetuned/top-1/seed1"


@pytest.fixture(scope="module")
def project(finish, tmp_path_factory):
    model = tmp_path_factory.mktemp("embedding") / "model"

    def change(study):
        as_embedding(study, model)
        study["models"][0]["directory"] = str(model)
        study["origins"] = study["origins"][1:]
        study["budget"] = {"layers": 3}
        study["deliver"] = {"vocabularies": ["trimmed"]}
        study["measure"] |= {"texts": 4, "batch_sizes": [1, 2]}

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
