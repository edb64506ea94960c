"""How the numbers of a report were made, and from what, as data for the templates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from shallower.core.layout import TEST, UNLABELLED
from shallower.core.runs import BASELINE
from shallower.core.text_figures import unlabelled_in_words
from shallower.core.wording import DASH, EXAMPLE, counted, listed, score_text
from shallower.evaluation.metrics import METRICS, POSITIVE, answer_threshold, metric_title
from shallower.reporting.footprint import distinct_trainings, footprint, footprint_text
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, amount_label
from shallower.task_kinds.registry import task_kind

SETTINGS = {
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate, falling linearly to zero",
    "warmup_ratio": "warm-up, share of steps",
    "weight_decay": "weight decay",
    "max_grad_norm": "gradients clipped to norm",
    "max_length": "tokens at most",
    "class_weights": "weights of classes",
}
DISTILLATION = {
    "weight": "weight of the full model's answers, next to the labels",
    "temperature": "temperature of these answers",
    "vectors": "weight of the full model's [CLS] vectors, added to these",
    "augment": "texts without labels made from each training text, at most",
}
# Of how these texts are made.
AUGMENTATION = {"mask": "masked tokens", "segment": "cut to a segment"}
# Most classes whose numbers of examples are listed one by one.
MAX_CLASSES = 6
# Keys of a strategy's entry that limit it to a part of the study.
LIMITS = ("models", "tasks", "origins")


def methods_content(
    config: Mapping[str, Any],
    summary: pd.DataFrame,
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    models: Sequence[Mapping[str, Any]],
    unlabelled: Sequence[Mapping[str, Any]] = (),
    tests: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The variables of the macros `methods` and `statistics`.

    `config` is the study with its defaults filled in, `summary` is summary.csv, `tasks` the content of task.json and
    manifest.json by task, `models` that of manifest.json of the imported models, `unlabelled` that of manifest.json of
    texts without labels, `tests` that of test examples.
    """
    converted = {manifest["name"]: listed(sorted(_converted_from(manifest))) for manifest in models}
    seeds = [len(_seeds(config, task)) for task in config["tasks"]]
    columns = _training_columns(config)
    of_tasks = [_training_columns(config, task) for task in config["tasks"]]
    kinds = [task_kind(target) for target in summary["target"].unique()]
    return {
        "origins": [origin["name"] for origin in config["origins"]],
        "models_kept": bool(config.get("keep_models")),
        "models": [_model(model, converted.get(model["name"], "")) for model in config["models"]],
        "has_counterparts": any(model.get("counterpart") for model in config["models"]),
        "tasks": [_task(config, task, summary, *tasks.get(task["name"], ({}, {}))) for task in config["tasks"]],
        "training_columns": list(columns),
        "training": [
            (title, *(_value(settings.get(key, "none")) for settings in columns.values()))
            for key, title in SETTINGS.items()
            if any(settings.get(key, "none") != "none" for settings in columns.values())
        ]
        + _distillation(columns),
        "exceptions": [
            f"on {task['name']} {found}" for task in config["tasks"] if (found := _exceptions(config, task))
        ],
        "is_tuned": any(one["full model"]["epochs"] for one in of_tasks),
        "is_refined": any(settings["epochs"] for one in of_tasks for settings in list(one.values())[1:]),
        "strategies": [_strategy(entry) for entry in config["strategies"]],
        "calibration": _calibration(config),
        "scored_on_validation": [task["name"] for task in _scored_tasks(config) if not _calibration_of(config, task)],
        "unlabelled": [
            f"{each['rows'][UNLABELLED]:,} of {each['source']['name']} (of {unlabelled_in_words(each['found'])})"
            for each in unlabelled
        ],
        "tests": [_test(manifest) for manifest in tests],
        "drawn": list(dict.fromkeys(kind.drawn.many for kind in kinds)) or [EXAMPLE.many],
        "groups": sorted({name for _, manifest in tasks.values() for name in manifest.get("groups", {})}),
        "bootstrap_samples": config["evaluate"]["bootstrap_samples"],
        "one_seed": listed([task["name"] for task, count in zip(config["tasks"], seeds, strict=True) if count == 1]),
    }


def provenance_content(
    manifests: Sequence[Mapping[str, Any]],
    earlier: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    runs_per_gpu: int = 1,
) -> dict[str, Any]:
    """The variables of the macro `provenance`, from the manifests of runs, of earlier trainings, models and tasks."""
    trained = [manifest for manifest in (*manifests, *earlier) if "device" in manifest]
    codes = [manifest["code"] for manifest in manifests if "code" in manifest]
    versions: dict[str, set[str]] = {}
    for manifest in manifests:
        for package, version in manifest.get("versions", {}).items():
            versions.setdefault(package, set()).add(str(version))
    return {
        "effort": _effort(manifests, earlier),
        "footprint": footprint_text(footprint(trained, runs_per_gpu=runs_per_gpu)) if trained else "",
        "machines": _unique(_machine(manifest) for manifest in manifests if "device" in manifest),
        "commits": _unique((code["commit"], code["dirty"]) for code in codes),
        "packages": [f"{package} {' and '.join(sorted(found))}" for package, found in versions.items()],
        "checksums": [
            (f"{kind} {name}", file, digest)
            for kind, name, source in [
                *(("model", source["name"], source) for source in models),
                *(("task", source["source"]["name"], source) for source in tasks),
            ]
            for file, digest in {**_converted_from(source), **source["sha256"]}.items()
        ],
    }


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def _seeds(config: Mapping[str, Any], task: Mapping[str, Any]) -> list[int]:
    return list(task.get("seeds") or config["seeds"])


def _converted_from(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """The pickled files that a model's weights were converted from, with their SHA-256; none for most models."""
    return manifest.get("converted_from", {})


def _model(model: Mapping[str, Any], converted_from: str) -> dict[str, Any]:
    """Name, where the weights come from, in words and as code, what they were converted from, and the paper's model."""
    match model["source"]:
        case "hub":
            where, exact = f"hub, {model['repository']}", model["revision"][:12]
        case "package":
            where, exact = f"package {model['package']} {model['version']}", ""
        case _:
            where, exact = "folder", str(model["directory"])
    return {
        "name": model["name"],
        "where": where,
        "exact": exact,
        "converted_from": converted_from,
        "counterpart": model.get("counterpart") or DASH,
    }


def _task(
    config: Mapping[str, Any],
    task: Mapping[str, Any],
    summary: pd.DataFrame,
    record: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Numbers of examples are those that were used; `subset_of` names the splits of which only a part was."""
    baselines = summary[(summary["task"] == task["name"]) & (summary["origin"] == BASELINE)]
    rows, classes, names = record.get("rows", {}), manifest.get("classes") or {}, record.get("labels")
    positive = task.get("positive_class") or (names[POSITIVE] if names else None)
    return {
        "name": task["name"],
        "source": _task_source(task),
        "training": _examples(rows["train"], manifest, "train") if rows else DASH,
        "validation": (DASH if baselines.empty else _scored(baselines.iloc[0], manifest)),
        "classes": {split: _classes(classes[split]) for split in classes},
        "subset_of": [
            split
            for split, key in (("training", "train_examples"), ("validation", "validation_examples"))
            if task.get(key) and (rows or split == "validation")
        ],
        "metrics": listed([_metric(metric, positive) for metric in task["metrics"]]) + _threshold(config, task, record),
        "chance": _chance(baselines),
        "seeds": " ".join(map(str, _seeds(config, task))),
    }


def _chance(baselines: pd.DataFrame) -> str:
    """The chance level of a task and what has it, such as "0.500, a constant answer"."""
    if baselines.empty or pd.isna(baselines["chance"].iloc[0]):
        return DASH
    return f"{score_text(baselines['chance'].iloc[0])}, {task_kind(baselines['target'].iloc[0]).constant}"


def _examples(rows: int, manifest: Mapping[str, Any], split: str) -> str:
    """How many examples a split has, and in how many groups, such as "500 in 100 queries", where they are in any.

    Of texts with a label for each word, such as "500 words in 100 sentences".
    """
    words = manifest.get("words", {}).get(split)
    number = f"{rows:,}" if words is None else f"{words:,} words"
    return number + "".join(f" in {counts[split]:,} {name}" for name, counts in manifest.get("groups", {}).items())


def _scored(baseline: pd.Series, manifest: Mapping[str, Any]) -> str:
    """The same of validation, with what these examples are."""
    rows, row = int(baseline["num_examples"]), task_kind(baseline["target"]).row
    number = _examples(rows, manifest, "validation")
    return number if row == EXAMPLE or "words" in manifest else number.replace(f"{rows:,}", row.counted(rows), 1)


def _metric(name: str, positive: str | None) -> str:
    return metric_title(name, positive if name in METRICS and METRICS[name].of_class else None)


def _threshold(config: Mapping[str, Any], task: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Which classes count as answered, where each is a question of its own."""
    if "thresholds" in task:
        examples = (task.get("calibration") or config["calibration"])["examples"]
        return f" (of classes with a probability above their own threshold, tuned on {examples:,} training examples)"
    threshold = answer_threshold(record["target"], task) if "target" in record else None
    return "" if threshold is None else f" (of classes with a probability above {threshold:g})"


def _classes(counts: Mapping[str, int]) -> str:
    """Numbers of examples of each class; of many classes, the smallest and the largest number."""
    if len(counts) <= MAX_CLASSES:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{len(counts)} classes with {min(counts.values()):,} to {max(counts.values()):,} each"


def _task_source(task: Mapping[str, Any]) -> str:
    if task["source"] == "glue":
        return f"GLUE {task['subset']}"
    if task["source"] == "hub":
        return f"hub, {task['repository']}"
    if task["source"] == "package":
        return f"{task['package']} {task['version']}, {task['path'].rpartition('/')[2]}"
    return "own files"


def _exceptions(config: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """Settings of trainings on a task that differ from the study's, such as "epochs 10 (full model, pretrained)"."""
    columns, of_task = _training_columns(config), _training_columns(config, task)
    titles: dict[str, list[str]] = {}
    for title, settings in of_task.items():
        own = {key: value for key, value in settings.items() if value != columns[title].get(key)}
        if own:
            titles.setdefault(_settings(own), []).append(title)
    return "; ".join(
        text if len(found) == len(of_task) else f"{text} ({', '.join(found)})" for text, found in titles.items()
    )


def _training_columns(config: Mapping[str, Any], task: Mapping[str, Any] | None = None) -> dict[str, Mapping[str, Any]]:
    """The settings of each kind of training, by its heading: the study's, or those for a task."""
    own = task or {}
    train = {**config["train"], **own.get("train", {})}
    columns: dict[str, Mapping[str, Any]] = {"full model": train}
    for origin in config["origins"]:
        settings = {**train, **config["refine"], **origin.get("refine", {}), **own.get("refine", {})}
        if "epochs" in settings:
            settings["epochs"] *= ORIGINS[origin["name"]].times_epochs
        columns[origin["name"]] = settings
        if "stage" in origin:
            columns[f"{origin['name']}, before each drop"] = {**train, **origin["stage"]}
    return columns


def _distillation(columns: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows on what trainings learn from a teacher; none where no training does."""
    taught = [settings.get("distill") for settings in columns.values()]
    if not any(taught):
        return []
    return [
        (title, *(_taught(one[key]) if one and key in one else DASH for one in taught))
        for key, title in DISTILLATION.items()
        if any(one and key in one for one in taught)
    ]


def _taught(value: Any) -> str:
    """A setting of a teacher; of an augmentation, such as "4 (masked tokens 10 %, cut to a segment 25 %)"."""
    if not isinstance(value, Mapping):
        return f"{value:g}"
    shares = [f"{title} {100 * value[key]:g} %" for key, title in AUGMENTATION.items() if value[key]]
    return f"{value['copies']} ({', '.join(shares)})"


def _settings(settings: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in settings.items() if key != "distill"}
    texts = [f"{SETTINGS[key].split(',')[0]} {_value(value)}" for key, value in plain.items()]
    if "distill" in settings and not settings["distill"]:
        texts.append("no teacher")
    if distill := settings.get("distill"):
        texts += [
            f"{title.split(',')[0]} {_taught(distill[key])}" for key, title in DISTILLATION.items() if key in distill
        ]
    return listed(texts)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _strategy(entry: Mapping[str, Any]) -> dict[str, str]:
    strategy = STRATEGIES[entry["name"]]
    section = strategy.section
    return {
        "name": strategy.name,
        "description": strategy.description,
        "section": f"section {section}" if section[0].isdigit() else section,
        "amounts": ", ".join(amount_label(amount) for amount in entry["amounts"]),
        "scored_on": entry.get("scores_from", ""),
        "protected": ", ".join(map(str, entry.get("protect", []))),
        "where": "; ".join(f"{key[:-1]} {listed(entry[key])}" for key in LIMITS if entry.get(key)) or "everywhere",
    }


def _calibration(config: Mapping[str, Any]) -> list[str]:
    """The number of calibration examples of each task on which layers are scored, such as "500 of sst2"."""
    found = [(task["name"], _calibration_of(config, task)) for task in _scored_tasks(config)]
    return [f"{settings['examples']:,} of {name}" for name, settings in found if settings]


def _calibration_of(config: Mapping[str, Any], task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    settings: Mapping[str, Any] | None = task.get("calibration") or config.get("calibration")
    return settings


def _scored_tasks(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tasks on whose texts a model is run to score its layers."""
    scored = [
        entry for entry in config["strategies"] if (score := STRATEGIES[entry["name"]].score) and score.runs_model
    ]
    names = [task["name"] for task in config["tasks"]]
    # Those of a run's own task, or of the one that the strategy names.
    read = {entry.get("scores_from", name) for entry in scored for name in entry.get("tasks", names)}
    return [task for task in config["tasks"] if task["name"] in read]


def _test(manifest: Mapping[str, Any]) -> str:
    """The number of test examples of a task, such as "200 of trec (negative 90, positive 110)"."""
    classes = (manifest.get("classes") or {}).get(TEST)
    text = f"{_examples(manifest['rows'][TEST], manifest, TEST)} of {manifest['source']['name']}"
    return text + (f" ({_classes(classes)})" if classes else "")


def _effort(manifests: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> str:
    """The number of runs, and the hours of all their trainings; those that were copied are not counted again."""
    hours = sum(manifest["train_seconds"] for manifest in distinct_trainings([*manifests, *earlier])) / 3600
    text = f"{counted(len(manifests), 'run')}, {hours:.1f} hours of training"
    copied = len(manifests) - len(distinct_trainings(manifests))
    return text + (f" ({copied} of them are the same as another and were trained once)" if copied else "")


def _machine(manifest: Mapping[str, Any]) -> str:
    text = f"{manifest['device']}, {manifest['precision']}"
    return text + (f", {counted(manifest['threads'], 'thread')} per run" if manifest["device"] == "cpu" else "")
