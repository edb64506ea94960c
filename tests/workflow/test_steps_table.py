"""What the rules do is what the table of steps says."""

import json
import re
from collections import Counter

import pytest

from project import ROOT, make_tiny_project
from shallower.core.code_digest import code_digest, code_files
from shallower.steps.table import STEPS

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
