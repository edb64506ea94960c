"""Write docs/reruns.md, the rerun matrix as tables, from the cases that the tests try."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rerun_cases import GROUPS, STUDY_TEXTS, Case

PAGE = Path(__file__).parents[2] / "docs" / "reruns.md"

INTRODUCTION = """# What runs again

Made by `make docs` from [tests/workflow/rerun_cases.py](../tests/workflow/rerun_cases.py); do not edit.

Each row is one change of a finished study, and the jobs that `snakemake` then starts: no more and no fewer, which
`make test-reruns` checks with a dry-run for each row ({cases} of them; scripts whose edits start nothing share one).
Every module of the library is edited as well, one at a time: that changes the code of exactly the steps whose script
imports it, directly or through others, and for an edit of each script there is a row. `make test` does all but the rows
of single scripts, of which it checks that each rule has the digest of its script's code, and three that take several
runs of snakemake.

The studies are tiny but whole:

{studies}

A number is the count of a rule's jobs. Jobs that compute with models come first; those that gather and write what
there is take seconds. Checkpoints that are only made to be tuned are deleted after their use, so a tuning that runs
again starts with `drop_layers`, or with the tunings before it.
"""

NOTES = {
    "Code": "Code counts by its content without comments and docstrings, templates by their content.",
    "Outputs": "A file that was edited is not made again: Snakemake takes it for what the next steps are made of. "
    "`make verify` names such files, also those whose time was kept.",
    "Place and environment": "Snakemake's metadata on what each file was made of is in `.snakemake`. Without it, times "
    "decide: a clone's data files are then newer than all results. `snakemake --touch` takes all files as they are.",
}


def page() -> str:
    """The whole page, in Markdown."""
    studies = "\n".join(f"- `{name}`: {text}" for name, text in STUDY_TEXTS.items())
    parts = [INTRODUCTION.format(cases=sum(map(len, GROUPS.values())), studies=studies)]
    for group, cases in GROUPS.items():
        note = f"{NOTES[group]}\n\n" if group in NOTES else ""
        head = (
            "| change | study | jobs that compute with models | jobs that gather and write |\n| --- | --- | --- | --- |"
        )
        parts.append(f"## {group}\n\n{note}{head}\n{rows(cases)}\n")
    return "\n".join(parts)


def rows(cases: Mapping[str, Case]) -> str:
    return "\n".join(
        f"| {name} | {case.study} | {jobs_text(case.jobs, COMPUTING)} | {jobs_text(case.jobs, GATHERING)} |"
        for name, case in cases.items()
    )


def jobs_text(jobs: Counter[str], rules: Sequence[str]) -> str:
    """Such as "refine 5, predict 5", in the order of the pipeline; "nothing" where no job of any rule runs."""
    unknown = set(jobs) - {*COMPUTING, *GATHERING}
    assert not unknown, f"add to COMPUTING or GATHERING: {unknown}"
    if not jobs:
        return "nothing"
    return ", ".join(f"{rule} {jobs[rule]}" for rule in rules if jobs[rule])


COMPUTING = [
    *("download_model", "download_task", "download_calibration", "download_unlabelled", "download_test"),
    *("tokenize_task", "tokenize_calibration", "tokenize_unlabelled", "tokenize_test", "augment_tokens"),
    *("finetune_baseline", "score_layers", "score_parameters"),
    *("score_gradients", "score_subsets", "race_subsets"),
    *("choose_layers_of_baseline", "choose_layers", "finetune_frozen", "finetune_stage", "drop_next_layer"),
    *(
        "drop_layers",
        "teach",
        "refine",
        "predict",
        "predict_test",
        "predict_calibration",
        "reload_models",
        "reload_model",
        "probe_layers",
        "compare_states",
        "measure_cost",
    ),
    *("trim_vocabulary", "tokenize_trimmed", "tokenize_trimmed_test", "trim_models", "export_onnx", "quantise_onnx"),
    *("predict_variants", "predict_test_variants", "measure_serving"),
]
GATHERING = [
    *(
        "write_study",
        "plan_runs",
        "evaluate",
        "evaluate_test",
        "tune_thresholds",
        "compare",
        "aggregate",
        "aggregate_test",
        "compare_texts",
        "tabulate",
        "recommend",
        "plot",
        "plot_depths",
        "plot_subsets",
        "collect_states",
        "collect_scores",
    ),
    *(
        "choose_candidates",
        "evaluate_variants",
        "evaluate_test_variants",
        "tabulate_variants",
        "plot_variants",
        "deliver_model",
    ),
    *("reproduce", "render_item", "plot_reproduction", "judge_observations", "check_parameter_orders"),
    *("present_reproduction", "judge_strategies", "present_oracle", "write_report", "record_study"),
]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
