"""The benchmark of overhead: what samples count as, their sums, and the sampler itself in a process and its forks."""

import os
import subprocess
import sys

import pytest

import sampler
from contest import BENCHMARKS
from measure_overhead import OTHERS, UNSEEN, part_of, read_samples, table
from shallower.core.errors import UserError


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (
            "workflow/scripts/finetune.py:main;shallower/engine/training.py:train;shallower/engine/training.py:advance",
            "training",
        ),
        ("workflow/scripts/finetune.py:main;shallower/engine/training.py:train", OTHERS),
        (
            "workflow/scripts/predict.py:main;shallower/engine/prediction.py:predict;python3.11/torch/x.py:f",
            "prediction",
        ),
        ("a/b/c.py:f;<frozen importlib._bootstrap>:_find_and_load;site-packages/torch/__init__.py:<module>", "imports"),
        ("site-packages/snakemake/dag.py:init;shallower/study/study.py:runs", "Snakemake"),
        ("shallower/analysis/latency.py:time_passes", "measuring speed"),
        ("shallower/analysis/readouts.py:read_out", "search"),
        ("", OTHERS),
    ],
)
def test_a_stack_counts_as_one_part(stack, part):
    assert part_of(stack) == part


def test_shares_are_of_all_processor_seconds(tmp_path):
    (tmp_path / "1").write_text("3.0\tshallower/engine/training.py:advance\n1.0\tshallower/evaluation/metrics.py:f\n")
    (tmp_path / "2").write_text("2.0\tshallower/engine/prediction.py:predict\n")
    found = table(read_samples(tmp_path), 10.0).set_index("part")
    assert found["per_cent"].to_dict() == pytest.approx(
        {"training": 30, "prediction": 20, "mathematics": 50, UNSEEN: 40, "scores and intervals": 10, "all": 100}
    )
    assert [*found.index[:3]] == ["training", "prediction", "mathematics"]


def test_more_samples_than_seconds_are_refused():
    with pytest.raises(UserError, match="samples have 12 s of the 10 s"):
        table({"training": 12.0}, 10.0)


def test_a_process_and_its_fork_are_sampled_apart(tmp_path):
    """Each by its own processor time, also at its end; one that sleeps has none."""
    (tmp_path / "sitecustomize.py").write_text((BENCHMARKS / "sampler.py").read_text())
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\n"
        "def work(seconds):\n"
        "    end = time.process_time() + seconds\n"
        "    while time.process_time() < end: pass\n"
        "work(0.6)\n"
        "child = os.fork()\n"
        "work(0.3) if not child else time.sleep(0.5)\n"
        "os.waitpid(child, 0) if child else None\n"
    )
    samples = tmp_path / "samples"
    samples.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SHALLOWER_SAMPLES": str(samples)}
    subprocess.run([sys.executable, str(program)], env=environment, check=True)
    found = [[line.partition("\t") for line in file.read_text().splitlines()] for file in samples.iterdir()]
    working = sorted(sum(float(spent) for spent, _, stack in lines if "program.py:work" in stack) for lines in found)
    assert working == pytest.approx([0.3, 0.6], abs=0.1)
    assert all(float(spent) >= 0 for lines in found for spent, *_ in lines)


def test_nothing_is_sampled_unless_it_is_asked_for():
    assert sampler.FOLDER is None
