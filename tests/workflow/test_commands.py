"""The commands of steps: they do not depend on how many cores the machine offers, nor grow with the number of runs."""

import re
from itertools import combinations

from project import Project

ORIGINS = ["pretrained", "finetuned", "finetuned-frozen", "gradual"]
# Scripts that compute with torch.
COMPUTING = {"compare_states", "finetune", "measure_cost", "predict", "probe_layers", "reload_models", "score_layers"}
# Of an argument, as Linux has it; a fortieth of it must do for 87 runs.
LONGEST = 128 * 1024 // 40


def commands_of(project: Project, cores: int) -> list[tuple[str, str]]:
    """The script of each step of a study, and its arguments."""
    finished = project.snakemake("--dry-run", "--printshellcmds", "--quiet", "host", cores=cores)
    assert finished.returncode == 0, finished.stdout
    return re.findall(r"python [^ ]*scripts/(\w+)\.py (.*)", finished.stdout)


def every_rule(study):
    study["compute"] = {"threads": 2}
    study["reproduction"] = True
    study["models"][0]["counterpart"] = "BERT"
    study["tasks"][0]["counterpart"] = "SST-2"
    study["origins"] = [{"name": name} for name in ORIGINS]


def test_fewer_cores_than_threads_change_no_command(make_project):
    commands = commands_of(make_project(every_rule), cores=1)
    threads = {
        (script, re.findall(r"--threads (\d+)", command)[0]) for script, command in commands if "--threads" in command
    }
    assert threads == {(script, "2") for script in COMPUTING}


def many_runs(study):
    kept = [list(layers) for number in (1, 2, 3) for layers in combinations(range(4), number)]
    study["origins"] = [{"name": "pretrained"}, {"name": "finetuned"}]
    study["strategies"] = [{"name": "keep", "amounts": kept}]
    study["seeds"] = [1, 2, 3]
    study["tasks"][0]["train_examples"] = 48
    study["calibration"] = {"examples": 12}
    study["budget"] = {"layers": 3}
    study["deliver"] = {}


def test_commands_are_short_in_a_study_of_many_runs(make_project):
    commands = commands_of(make_project(many_runs), cores=2)
    assert sum(script == "predict" for script, _ in commands) == 14 * 2 * 3 + 3
    longest = {script: max(len(command) for name, command in commands if name == script) for script, _ in commands}
    assert {"choose_candidates", "reload_models", "plan_runs", "write_study"} <= set(longest)
    assert {script: length for script, length in longest.items() if length > LONGEST} == {}
