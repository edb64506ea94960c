"""The comparison with sentence-transformers' example: layers that are asked for, commands, and the table."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

from compare_embeddings import PLACE, check, layer_list, our_commands, package_version, rival_commands
from recorded import merged
from shallower.core.errors import UserError
from write_readme import EMBEDDING_MODE, OURS, RIVAL, UNTRAINED, embedding_tables

MODEL = {"models": [{"num_layers": 6}]}
OPTIONS = Namespace(
    keep=[[0, 2, 5]],
    glue=Path("glue"),
    texts=Path("texts.parquet"),
    threads=2,
    device="cpu",
    batch_size=64,
    epochs=1.0,
    learning_rate=1e-4,
    warmup_ratio=0.1,
    max_length=256,
)


@pytest.mark.parametrize("asked", ["0,6", "2,0", "0,0", "0,1,2,3,4,5"])
def test_layers_that_the_model_lacks_are_refused_before_anything_runs(asked):
    check(OPTIONS, MODEL)
    with pytest.raises(UserError, match="name some of the layers 0 to 5"):
        check(Namespace(**{**vars(OPTIONS), "keep": [layer_list(asked)]}), MODEL)


def test_both_train_with_the_same_settings(tmp_path):
    (rival,) = rival_commands(OPTIONS, tmp_path, tmp_path / "run", [0, 2, 5], seed=3)
    *_, finetune = our_commands(OPTIONS, tmp_path, tmp_path / "run", seed=3)
    settings = next(str(part) for part in finetune if str(part).startswith("{"))
    for name, value in {"batch_size": "64", "epochs": "1.0", "learning_rate": "0.0001", "warmup_ratio": "0.1"}.items():
        assert rival[rival.index(f"--{name.replace('_', '-')}") + 1] == value
        assert json.loads(settings)[name] == float(value)
    assert rival[rival.index("--seed") + 1] == finetune[finetune.index("--seed") + 1] == "3"


def test_without_sentence_transformers_the_command_that_installs_it_is_named(tmp_path):
    with pytest.raises(UserError, match=r"sentence-transformers is not in .*; use make benchmark-embeddings"):
        package_version(tmp_path)


def runs(scores: dict[str, list[float]], seconds: dict[str, float]) -> pd.DataFrame:
    rows = [
        {"contestant": name, "seed": seed, "wall_seconds": seconds[name] + seed, "spearman": value}
        for name, values in scores.items()
        for seed, value in enumerate(values, start=1)
    ]
    rows.append({"contestant": UNTRAINED, "seed": 0, "spearman": 70.0})
    common = {"device": "cpu", "threads": 2, "texts": 8000, "kept": "0 2 5", "batch_size": 64, "epochs": 1.0}
    common |= {"learning_rate": 1e-4, "warmup_ratio": 0.1, "machine": "m", "torch": "1", "transformers": "2"}
    common["compute_device"] = "cpu"
    common |= {"sentence_transformers": "3", "python": "4", "commit": "c", "date": "d"}
    return pd.DataFrame(rows).assign(train_seconds=10.0, cpu_seconds=20.0, peak_mb=900.0, **common)


def test_the_table_has_the_ratio_of_medians_and_a_verdict_over_seeds():
    table = runs({OURS: [80.0, 81.0, 82.0], RIVAL: [81.0, 81.5, 82.0]}, {OURS: 98.0, RIVAL: 398.0})
    lines = embedding_tables(table).splitlines()
    ours = next(line for line in lines if f"| {OURS} |" in line)
    assert "| 100 (99 to 101) | 4.00 |" in ours
    assert "| 81.00 ± 1.00 | -0.50, parity |" in ours
    assert "70.00" in next(line for line in lines if UNTRAINED in line)
    # Two seeds allow no verdict.
    few = runs({OURS: [80.0, 81.0], RIVAL: [81.0, 81.5]}, {OURS: 98.0, RIVAL: 398.0})
    assert "too few seeds" in embedding_tables(few)


def test_new_runs_take_the_place_of_those_of_the_same_kind_alone():
    old = runs({OURS: [80.0], RIVAL: [81.0]}, {OURS: 98.0, RIVAL: 398.0})
    new = old[old["contestant"] == OURS].assign(spearman=90.0)
    together = merged(old, new, EMBEDDING_MODE, PLACE)
    assert sorted(together["spearman"]) == [70.0, 81.0, 90.0]
    assert len(merged(old, new.assign(texts=100), EMBEDDING_MODE, PLACE)) == 4
