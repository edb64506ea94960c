# The runs by which strategies are judged, and the files of that.
#
# Needs: study, ORIGINS, STRATEGIES, made(), MISSING.
# Gives: JUDGED_RUNS, JUDGED_SCORES, JUDGED_RACES, ORACLE_TABLES, ORACLE_FIGURES, judged().
from shallower.oracle.names import FIGURES as ORACLE_FIGURES
from shallower.oracle.names import TABLES as ORACLE_TABLES
from shallower.oracle.picks import scores_to_read


def judged_runs(study):
    """The runs that strategies are judged by."""
    places = set(study.judged)
    return [run for run in study.runs if (run.model, run.task, run.origin) in places]


def judged_scores(study):
    """Scores of layers and of subsets of the models that the judged runs start from."""
    files = {}
    for model, task, origin in study.judged:
        for seed in study.seeds(task):
            scored = {"study": study.name, "model": model, "task": task, "scored": ORIGINS[origin].scored_model(seed)}
            for method in scores_to_read(origin):
                files[layout.LAYER_SCORES.format(**scored, method=method)] = None
            files[layout.SUBSET_TABLE.format(**scored, method="subsets")] = None
    return list(files)


JUDGED_RUNS = judged_runs(study)
JUDGED_SCORES = judged_scores(study)
JUDGED_RACES = [
    f"{run.directory}/race.json" for run in JUDGED_RUNS if (score := STRATEGIES[run.strategy].score) and score.of_runs
]


def judged():
    """The files of the judged strategies; none where failed jobs have not made what they are judged by."""
    needed = [*JUDGED_SCORES, *JUDGED_RACES]
    if not study.judged or len(made(needed)) < len(needed) or any(run in MISSING for run in JUDGED_RUNS):
        return []
    folder = layout.ORACLE.format(study=study.name)
    return [
        *(f"{folder}/{name}.csv" for name in ORACLE_TABLES),
        *(f"{folder}/{name}.{form}" for name in ORACLE_FIGURES for form in ("png", "svg")),
        *(f"{folder}/{name}" for name in ("oracle.html", "section.json")),
    ]
