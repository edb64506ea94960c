# What a study asks for.
#
# Needs: study, the names of tables and figures.  Gives: input functions of rule all, and the plan.
from shallower.core.signals import pass_on_interrupts
from shallower.planning.plan import plan_study, plan_text


def delivered_models():
    """The tuned models that the study keeps."""
    return [f"{run.directory}/model.safetensors" for run in study.runs] if study.config["keep_models"] else []


def reloaded_models():
    """The proof that the kept models load."""
    if not study.config["keep_models"]:
        return []
    return [f"results/{study.name}/{model}/{task}/reloaded.csv" for model, task in RUN_FOLDERS]


def answers():
    """The tables and figures of the study."""
    results = f"results/{study.name}"
    return [
        f"{results}/results.csv",
        *(f"{results}/tables/{name}" for name in TABLES),
        *figures("png"),
        *figures("svg"),
    ]


def figures(form):
    """The figures of each model and task for which layers were dropped."""
    return [
        f"results/{study.name}/figures/{model}/{task}/{figure}.{form}"
        for (model, task), arms in ARMS.items()
        if arms
        for figure in FIGURES
    ]


def reproduction():
    """All that the reproduction consists of, for studies that ask for it."""
    if not study.config["reproduction"]:
        return []
    folder = f"results/{study.name}/paper"
    return [
        *(f"{folder}/{item}.html" for item in [*PAPER_TABLES, "observations", "parameter-orders"]),
        *(f"{folder}/{item}.{form}" for item in PAPER_FIGURES for form in ("png", "svg")),
    ]


def plan():
    """What the study will run, and about how long that takes and how much disk."""
    return f"\n{plan_text(study, plan_study(study))}\n"
