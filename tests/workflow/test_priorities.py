"""In which order jobs are started that could all start: what is begun is finished, and long trainings come first."""

import re

DEPTHS = {"baseline": 4, "top-1": 3, "top-2": 2, "top-3": 1}


def three_amounts(study):
    study["strategies"] = [{"name": "top", "amounts": [1, 2, 3]}]
    study["seeds"] = [1]


def test_long_trainings_come_first_and_other_steps_before_them(make_project):
    finished = make_project(three_amounts).snakemake("--dry-run", "--quiet", "host", cores=1)
    assert finished.returncode == 0, finished.stdout
    found = {}
    for job in re.split(r"^ *(?:local)?rule ", finished.stdout, flags=re.MULTILINE):
        # Snakemake shows a priority that is not 0.
        if priority := re.search(r"^ +priority: (-.*)$", job, flags=re.MULTILINE):
            arm = re.search(r"output: \S*?/(baseline|top-\d|cost.json)", job)
            found[job.partition(":")[0], DEPTHS.get(arm[1], 0)] = float(priority[1])
    assert found.pop(("measure_cost", 0)) < min(found.values())  # alone on the machine, at the end
    trainings = {depth: priority for (rule, depth), priority in found.items() if rule != "drop_layers"}
    assert {rule for rule, _ in found} == {"finetune_baseline", "refine", "drop_layers"}
    assert sorted(trainings) == sorted(trainings, key=trainings.get) == [1, 2, 3, 4]
    # What prepares a training is as urgent.
    assert all(found["drop_layers", depth] == trainings[depth] for depth in (1, 2, 3))
