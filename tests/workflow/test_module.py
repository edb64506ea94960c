"""Another workflow uses this one as a Snakemake module, from another folder and with a configuration of its own."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import ROOT, tiny_study

SNAKEFILE = """
configfile: "lab.yaml"


module shallower:
    snakefile:
        {snakefile!r}
    config:
        config["pruning"]


use rule * from shallower as shallower_*


rule conclude:
    default_target: True
    input:
        "results/tiny/results.csv",
    output:
        "conclusion.txt",
    shell:
        "cp {{input}} {{output}}"
"""


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """A folder with a workflow that has the study under a key of its configuration."""
    folder = tmp_path / "a laboratory"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(snakefile=str(ROOT / "Snakefile")))
    study = tiny_study(folder)
    paths = {"train_file": f"{folder}/data/train.csv", "validation_file": f"{folder}/data/validation.csv"}
    study["models"][0]["directory"] = f"{folder}/models/bert"
    study["tasks"][0] |= paths
    configure(folder, study)
    return folder


def configure(folder: Path, study: dict[str, Any]) -> None:
    (folder / "lab.yaml").write_text(yaml.safe_dump({"pruning": study, "other": "settings"}))


def dry_run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1"]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_rules_of_a_module_run_in_the_folder_of_the_workflow_that_uses_it(laboratory):
    finished = dry_run(laboratory)
    assert finished.returncode == 0, finished.stdout
    jobs = Counter(re.findall(r"^ *(?:local)?rule (\w+):$", finished.stdout, flags=re.MULTILINE))
    assert jobs["conclude"] == 1 and jobs["shallower_predict"] == 2 and jobs["shallower_refine"] == 1, jobs
    assert all(name == "conclude" or name.startswith("shallower_") for name in jobs), jobs
    scripts = set(re.findall(r"python '?([^' ]+\.py)", finished.stdout))
    assert scripts
    assert {(laboratory / script).resolve().parent for script in scripts} == {ROOT / "workflow/scripts"}
    assert not (laboratory / "results").exists()


def test_the_study_of_a_module_is_checked(laboratory):
    study = yaml.safe_load((laboratory / "lab.yaml").read_text())["pruning"]
    configure(laboratory, study | {"seedz": [1]})
    refused = dry_run(laboratory)
    assert refused.returncode == 1
    assert "unknown key 'seedz'; did you mean 'seeds'?" in refused.stdout
