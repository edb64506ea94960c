"""The paper's study on tiny models and little data: every rule, table and figure, in minutes.

`python tests/paper_smoke.py FOLDER` writes tiny random models of all architectures, a study made of
studies/paper.yaml and, unless a folder of GLUE files is given with --glue, small made-up tasks in GLUE's form. What
comes out of the study means nothing; that it comes out shows that the paper's study will run.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import transformers
import yaml

import tiny

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {
    "bert": "bert",
    "roberta": "roberta",
    "xlnet": "xlnet",
    "albert": "albert",
    "distilbert": "distilbert",
    "distilroberta": "roberta",
}
TASKS = ("sst2", "stsb")  # one of each kind, one of each number of texts
EXAMPLES = {"train_examples": 48, "validation_examples": 32}
ONE_TASK = ["sst2"]
# Fewer amounts than the paper's, but each strategy, origin and model.
STRATEGIES: list[dict[str, Any]] = [
    {"name": "top", "amounts": [2, 6], "models": ["bert"], "origins": ["pretrained"]},
    {"name": "top", "amounts": [6], "models": ["roberta", "xlnet", "albert"], "origins": ["pretrained"]},
    {"name": "top", "amounts": [1, 3], "models": ["distilbert"], "origins": ["pretrained"], "tasks": ONE_TASK},
    {
        "name": "top",
        "amounts": [6],
        "models": ["bert"],
        "origins": ["finetuned", "finetuned-frozen"],
        "tasks": ONE_TASK,
    },
    {
        "name": "top",
        "amounts": [2],
        "models": ["bert"],
        "origins": ["gradual", "pretrained-longer"],
        "tasks": ONE_TASK,
    },
    {"name": "bottom", "amounts": [6], "models": ["bert", "xlnet"], "origins": ["pretrained"], "tasks": ONE_TASK},
    {"name": "bottom", "amounts": [3], "models": ["distilbert"], "origins": ["pretrained"], "tasks": ONE_TASK},
    {"name": "symmetric", "amounts": [2], "models": ["bert", "xlnet"], "origins": ["pretrained"], "tasks": ONE_TASK},
    *(
        {"name": name, "amounts": [6], "models": ["bert"], "origins": ["pretrained"], "tasks": ONE_TASK}
        for name in (
            "even-alternate",
            "odd-alternate",
            "contribution-rank",
            "parameter-aggregation",
            "parameter-variance",
        )
    ),
    {"name": "contribution", "amounts": [0.95], "models": ["bert"], "origins": ["pretrained"], "tasks": ONE_TASK},
]


def paper_study() -> dict[str, Any]:
    """The study of the paper, as the repository has it."""
    return yaml.safe_load((ROOT / "studies" / "paper.yaml").read_text(encoding="utf-8"))


def smoke_study(folder: Path, glue_directory: Path | None) -> dict[str, Any]:
    """The paper's study with tiny models in place of its models, and less of everything; writes models and data."""
    study = paper_study()
    models = []
    transformers.utils.logging.disable_progress_bar()
    for model in study["models"]:
        directory = tiny.make_model(folder / "models" / model["name"], FAMILIES[model["name"]], model["num_layers"])
        kept = {key: model[key] for key in ("name", "num_layers", "counterpart")}
        models.append(kept | {"source": "local", "directory": str(directory)})
    tasks = [task for task in study["tasks"] if task["name"] in TASKS]
    if glue_directory is None:
        glue_directory = folder / "glue"
        for task in tasks:
            make_glue_files(glue_directory / task["subset"], task["subset"])
    return study | {
        "study": "paper-smoke",
        "glue_directory": str(glue_directory),
        "models": models,
        "tasks": [{**{key: task[key] for key in ("name", "source", "subset")}, **EXAMPLES} for task in tasks],
        "strategies": STRATEGIES,
        "seeds": [1],
        "train": {"epochs": 1, "batch_size": 16, "learning_rate": 1.0e-3, "max_length": 32},
        "origins": [
            origin | ({"stage": {"epochs": 1}} if origin["name"] == "gradual" else {}) for origin in study["origins"]
        ],
        "evaluate": {"bootstrap_samples": 100},
        "measure": {"repeats": 3, "task": "stsb", "texts": 8, "batch_sizes": [1, 4]},
        "probe": {"train_examples": 40},
    }


def make_glue_files(folder: Path, subset: str) -> None:
    """Made-up rows in the columns of a GLUE task: train.csv and validation.csv."""
    columns, labels = {
        "sst2": (["sentence"], {"bad": "negative", "good": "positive"}),
        "stsb": (["sentence1", "sentence2"], {}),
    }[subset]
    tiny.make_task_files(folder, 64, 48, pair=len(columns) == 2, regression=not labels)
    for path in folder.glob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            _, *rows = csv.reader(file)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "label"])
            writer.writerows([*texts, labels.get(label, label)] for *texts, label in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to write models, data and study.yaml to")
    parser.add_argument("--glue", type=Path, help="folder of GLUE files, to take slices of")
    arguments = parser.parse_args()
    content = smoke_study(arguments.folder, arguments.glue)
    (arguments.folder / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
