"""A new strategy or origin takes few files: made-up ones are added to a copy of the project, and run.

Also: what the rules do is what the table of steps says.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from project import ROOT, Project, make_tiny_project
from shallower.core.code_digest import code_digest, code_files
from shallower.steps.table import STEPS

POSITIONAL = "workflow/shallower/surgery/positional_strategies.py"
SCORED = "workflow/shallower/surgery/scored_strategies.py"
ORIGINS = "workflow/shallower/surgery/origins.py"


@dataclass(frozen=True)
class Idea:
    """Something new: texts that are appended to files of the project, or files of their own."""

    files: dict[str, str]
    at_most: int

    def add_to(self, project: Project) -> None:
        assert len(self.files) <= self.at_most
        for name, text in self.files.items():
            with (project.folder / name).open("a", encoding="utf-8") as file:
                file.write(text)


POSITIONAL_STRATEGY = Idea(
    at_most=1,
    files={
        POSITIONAL: """

@register("every-third", "Every third layer from the top down.", "not in the paper", COUNT)
def drop_every_third(stack: Stack, amount: int) -> Iterable[int]:
    return list(range(stack.num_layers - 1, -1, -3))[:amount]
"""
    },
)

SCORED_STRATEGY = Idea(
    at_most=3,
    files={
        SCORED: """

BIAS = LayerScore("bias", "score_biases", runs_model=False)


@register("smallest-biases", "The layers with the smallest biases.", "not in the paper", COUNT, score=BIAS)
def drop_smallest_biases(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    return _ranked(stack, scores)[:amount]
""",
        "workflow/scripts/score_biases.py": '''"""Score the layers of a model by the largest of their biases."""

import argparse
from pathlib import Path

from safetensors.numpy import load_file

from shallower.core.cli import run_step
from shallower.core.files import read_json, write_json
from shallower.models.families import family_of


def main(arguments: argparse.Namespace) -> None:
    config = read_json(arguments.model_dir / "config.json")
    family = family_of(config)
    scores = [0.0] * family.num_layers(config)
    for name, values in load_file(arguments.model_dir / "model.safetensors").items():
        layer = family.layer_of(name)
        if layer is not None and name.endswith("bias"):
            scores[layer] = max(scores[layer], float(abs(values).max()))
    write_json(arguments.output, {"method": "bias", "scores": scores})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    run_step(parser, main)
''',
        "workflow/rules/drop.smk": """

rule score_biases:
    input:
        unpack(checkpoint(scored_folder)),
    output:
        scores="results/{study}/{model}/{task}/scores/{method}/{scored}.json",
    log:
        "logs/score_biases/{study}/{model}/{task}/{method}/{scored}.log",
    wildcard_constraints:
        method=score_names("score_biases"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("score_biases"),
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --output {output.scores:q} 2>&1 | tee {log:q}"
""",
    },
)

ORIGIN = Idea(
    at_most=1,
    files={
        ORIGINS: """

ORIGINS["finetuned-gradual"] = Origin(
    name="finetuned-gradual",
    title="dropped one by one after fine-tuning",
    description="Layers are dropped one by one from the fine-tuned baseline, with a fine-tuning before each drop.",
    from_baseline=True,
    preparations=ORIGINS["gradual"].preparations,
    amounts=(COUNT,),
    stage={"epochs": 1},
)
"""
    },
)

ORIGIN_WITH_A_RULE = Idea(
    at_most=3,
    files={
        ORIGINS: """

ORIGINS["warmed-up"] = Origin(
    name="warmed-up",
    title="dropped after a short fine-tuning",
    description="Layers are dropped after a fine-tuning of two epochs.",
    preparations=lambda num_dropped: [Preparation("warm-up")],
    stage={"epochs": 2},
)
""",
        "workflow/rules/gradual.smk": """

use rule finetune_baseline as warm_up with:
    input:
        unpack(checkpoint(start_folder)),
        unpack(training_inputs),
    output:
        weights=temp(f"{layout.PRUNED_RUN}/warm-up/model.safetensors"),
        config=temp(f"{layout.PRUNED_RUN}/warm-up/config.json"),
        tokenizer=temp(f"{layout.PRUNED_RUN}/warm-up/tokenizer.json"),
        tokenizer_config=temp(f"{layout.PRUNED_RUN}/warm-up/tokenizer_config.json"),
        training=f"{layout.PRUNED_RUN}/warm-up/training.jsonl",
        manifest=f"{layout.PRUNED_RUN}/warm-up/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/warm-up.log",
    params:
        settings=lambda wildcards: as_json(study.preparation_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}, before dropping",
""",
    },
)


@pytest.fixture(scope="module")
def project(tmp_path_factory, warm_steps) -> Project:
    """A finished study of made-up strategies and origins."""

    def change(study) -> None:
        study["origins"] = [{"name": name} for name in ("pretrained", "finetuned-gradual", "warmed-up")]
        study["strategies"] = [
            {"name": "every-third", "amounts": [2], "origins": ["pretrained", "finetuned-gradual"]},
            {"name": "smallest-biases", "amounts": [1], "origins": ["pretrained", "warmed-up"]},
        ]

    project = make_tiny_project(tmp_path_factory.mktemp("ideas"), change)
    for idea in (POSITIONAL_STRATEGY, SCORED_STRATEGY, ORIGIN, ORIGIN_WITH_A_RULE):
        idea.add_to(project)
    project.printed = project.run(environment=warm_steps)
    return project


def layers_of(project: Project, arm: str) -> dict:
    return json.loads((project.folder / "results/tiny/bert/tiny" / arm / "seed1/layers.json").read_text())


def test_strategies_drop_the_layers_that_they_choose(project):
    assert layers_of(project, "pretrained/every-third-2")["order"] == [3, 0]
    scored = layers_of(project, "pretrained/smallest-biases-1")
    scores = scored["scores"]["scores"]
    assert scored["order"] == [max(range(4), key=lambda layer: (-scores[layer], layer))]


def test_origins_train_what_they_say(project):
    task = project.folder / "results/tiny/bert/tiny"
    folders = {
        arm: sorted(path.parent.name for path in (task / arm / "seed1").glob("*/manifest.json"))
        for arm in ("pretrained/every-third-2", "finetuned-gradual/every-third-2", "warmed-up/smallest-biases-1")
    }
    assert folders == {
        "pretrained/every-third-2": [],
        "finetuned-gradual/every-third-2": ["stage0", "stage1"],
        "warmed-up/smallest-biases-1": ["warm-up"],
    }
    baseline = json.loads((task / "baseline/seed1/manifest.json").read_text())["sha256"]["model.safetensors"]
    stage = json.loads((task / "finetuned-gradual/every-third-2/seed1/stage0/manifest.json").read_text())
    assert stage["sha256"]["starting_model"] == baseline


def test_the_finished_study_verifies(project):
    script = project.folder / "workflow/scripts/verify_study.py"
    done = subprocess.run(
        [sys.executable, script, "--results-dir", "results/tiny"],
        cwd=project.folder,
        env={"PYTHONPATH": str(project.folder / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_pages_and_plan_have_their_words(project):
    page = (project.folder / "results/tiny/tables/answer.html").read_text()
    assert "ropped one by one after fine-tuning" in page
    assert "ropped after a short fine-tuning" in page
    assert "Every third layer from the top down." in (project.folder / "results/tiny/report.html").read_text()
    # One training of the baseline and of each arm; two stages; one warm-up.
    assert "8 trainings" in project.printed


# --- the table of steps ---

DUMP = """
include: "Snakefile"

import json
with open("rules.json", "w") as file:
    rules = [
        {
            "name": rule.name,
            "outputs": list(map(str, rule.output)),
            "environment": Path(str(rule.conda_env)).stem,
            "script": Path(str(rule.params.script)).stem,
            "code": str(rule.params.code),
            "is_job": rule.name not in workflow._localrules,
            "memory": "mem_mb" in rule.resources,
            "runtime": "runtime" in rule.resources,
            "gpu": "gpu" in rule.resources,
            "numbers": [name for name, value in rule.params.items() if isinstance(value, (int, float))],
        }
        for rule in workflow.rules
        if rule.name != "all"
    ]
    json.dump(rules, file)
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> list[dict]:
    def change(study) -> None:
        study["compute"] = {"device": "cuda"}

    project = make_tiny_project(tmp_path_factory.mktemp("rules"), change)
    (project.folder / "dump.smk").write_text(DUMP)
    listed = project.snakemake("--snakefile", "dump.smk", "--list-rules")
    assert listed.returncode == 0, listed.stdout
    return json.loads((project.folder / "rules.json").read_text())


def test_the_table_of_steps_has_the_rules_of_each_script(rules):
    assert {step.script: Counter(step.rules) for step in STEPS.values() if step.rules} == {
        script: Counter(rule["name"] for rule in rules if rule["script"] == script)
        for script in {rule["script"] for rule in rules}
    }


def test_the_table_of_steps_says_what_rules_do(rules):
    for rule in rules:
        step = STEPS[rule["script"]]
        said = (step.environment, step.is_job, step.memory is not None, step.seconds is not None, step.uses_gpu)
        found = (rule["environment"], rule["is_job"], rule["memory"], rule["runtime"], rule["gpu"])
        assert said == found, rule["name"]


def test_each_rule_has_the_digest_of_the_code_of_its_script(rules):
    """So that an edit reruns it: `make test-reruns` tries each script."""
    library = ROOT / "workflow"
    digests = {name: code_digest(code_files(library / f"scripts/{name}.py", library), library) for name in STEPS}
    # Checks a model before it is deleted; another check must not train it again.
    expected = {rule["name"]: digests[rule["script"]] for rule in rules} | {"reload_model": "None"}
    assert {rule["name"]: rule["code"] for rule in rules} == expected


def test_no_rule_has_two_numbers_that_could_change_places(rules):
    """Snakemake compares parameters as a set: all but one must be options with their names (as_options)."""
    assert [rule["name"] for rule in rules if len(rule["numbers"]) > 1] == []
    assert {tuple(rule["numbers"]) for rule in rules} > {("threads",)}


def test_the_table_of_steps_has_the_outputs_of_rules(rules):
    for rule in rules:
        step = STEPS[rule["script"]]
        assert {general(output) for output in rule["outputs"]} == {
            general(f"{step.folder}/{output}") for output in step.outputs
        }, rule["name"]


def general(output: str) -> str:
    """An output's pattern, where baseline and arms, and the stages of a run, are the same."""
    output = re.sub(r"\{(\w+),[^{}]*\}", r"{\1}", output)
    output = output.replace("{origin}/{strategy}-{amount}", "{arm}").replace("baseline/seed", "{arm}/seed")
    output = re.sub(
        r"((calibration|unlabelled-|test-|trimmed)\{(examples|unlabelled|test|trimmed)\}/)*"
        r"(calibration|unlabelled|test|train|validation)\.safetensors",
        "{split}.safetensors",
        output,
    )
    output = re.sub(
        r"((calibration\{examples\}|unlabelled-\{unlabelled\}|test-\{test\}|trimmed\{trimmed\})/)+texts\.json",
        "texts.json",
        output,
    )
    # On test and calibration examples as on validation examples.
    output = re.sub(r"(seed\{seed\}/)(test|calibration)/|(\{study\}/)test-(?=res)|(variants/)test-", r"\1\3\4", output)
    # One for all models of a task or, where models are not kept, one for each.
    output = output.replace("{arm}/seed{seed}/reloaded.csv", "reloaded.csv")
    return re.sub(r"seed\{seed\}/(frozen|stage\{stage\})/", "seed{seed}/", output)
