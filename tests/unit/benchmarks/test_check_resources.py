"""The comparison of declared and used resources, on made-up logs."""

import json
import sys
from pathlib import Path

import pytest

import tiny
from shallower.core.errors import UserError
from shallower.study.resolve import resolve_study

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import check_resources

CONFIG = {"model_type": "bert", "num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 64}
CONFIG |= {"num_attention_heads": 4, "vocab_size": 500, "max_position_embeddings": 128}


@pytest.fixture
def study(tmp_path):
    model = tiny.make_model(tmp_path / "model", "bert")
    return resolve_study(
        {
            "study": "s",
            "models": [{"name": "m", "source": "local", "directory": str(model)}],
            "tasks": [tiny.make_task_files(tmp_path, rows_train=8, rows_validation=8)],
            "origins": [{"name": "pretrained"}],
            "strategies": [{"name": "top", "amounts": [1, 2]}],
            "seeds": [1],
        }
    )


def write_job(folder, step, job, megabytes, num_layers=4, **manifest):
    file = folder / "logs" / step / f"{job}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    ended = "" if megabytes is None else f"10:00:01 {step}.py: 1.0 s, peak memory {megabytes} MB\n"
    file.write_text(f"10:00:00 something else\n{ended}")
    run = folder / "results" / job
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": num_layers}))
    (run / "manifest.json").write_text(json.dumps(manifest))


def test_memory_of_jobs_by_step(tmp_path, study):
    task = study.tasks[0]
    write_job(tmp_path, "finetune", f"s/m/{task}/baseline/seed1", 1000)
    write_job(tmp_path, "finetune", f"s/m/{task}/pretrained/top-1/seed1", 500, num_layers=3)
    write_job(tmp_path, "finetune", f"s/m/{task}/pretrained/top-2/seed1", 10, num_layers=2, trained_as="another")
    write_job(tmp_path, "finetune", f"other/m/{task}/baseline/seed1", 9000)
    write_job(tmp_path, "predict", f"s/m/{task}/baseline/seed1", None)
    write_job(tmp_path, "evaluate", f"s/m/{task}/baseline/seed1", 200)
    uses = check_resources.memory_uses(study, tmp_path)
    assert [use.used for use in uses] == [1000, 500]
    assert uses[0].declared > uses[1].declared
    (row,) = check_resources.memory_table(uses)
    assert (row["step"], row["jobs"], row["most_used_mb"]) == ("finetune", 2, 1000)
    assert row["least_ratio"] == pytest.approx(uses[0].declared / uses[0].used, abs=0.01)


def test_the_peak_is_seen_although_it_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(check_resources, "SAMPLE_SECONDS", 0.01)
    (tmp_path / "results").mkdir()
    code = "import pathlib, time; p = pathlib.Path('results/x'); p.write_bytes(bytes(10**6)); time.sleep(1); p.unlink()"
    peak = check_resources.peak_while([sys.executable, "-c", code], tmp_path)
    assert peak >= 10**6 > check_resources.disk_bytes(tmp_path)


def test_a_command_that_fails_is_reported(tmp_path):
    with pytest.raises(UserError, match="ended with 3"):
        check_resources.peak_while([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
