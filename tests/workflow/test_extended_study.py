"""A new strategy or origin takes few files: made-up ones are added to a copy of the project, and run."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from project import Project, make_tiny_project

pytestmark = pytest.mark.slow

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
