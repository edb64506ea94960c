# What the study asks for, and the plan that is printed before a run.
#
# Needs: study, ARMS, RUNS, TABLES, FIGURES, PAPER_TABLES, PAPER_FIGURES, judged(), planned().
# Gives: answers(), figures(), figures_by_task(), reproduction(), record(), plan().
from shallower.planning.plan import plan_text


def answers():
    """The tables and figures of the study, and the models that it recommends."""
    return [
        f"{STUDY_FOLDER}/results.csv",
        *(f"{layout.TABLES.format(study=study.name)}/{name}" for name in TABLES),
        *recommendation(),
        *variants_table(),
        *test_results(layout.TEST_RESULTS),
        *figures("png"),
        *figures("svg"),
        *variant_figures("png"),
        *variant_figures("svg"),
        *delivered(),
    ]


def recommendation():
    """The table of recommended models, for studies with a budget."""
    return [layout.RECOMMENDED.format(study=study.name)] if study.config["budget"] else []


def figures_by_task(form):
    """Model, task and file of each figure: all models and tasks for which layers were dropped have them."""
    return [
        (model, task, f"{layout.FIGURES.format(study=study.name, model=model, task=task)}/{figure}.{form}")
        for model, task in dict.fromkeys((model, task) for model, task, arm in ARMS)
        for figure in [
            *FIGURES,
            *(["score-by-depth"] if study.config["budget"] or subset_scores_of(model, task) else []),
            *(["layers-of-best-subsets"] if subset_scores_of(model, task) else []),
        ]
    ]


def texts_by_task():
    """Model, task and file of what became of a task's texts with a model's tokenizer, those of its test last."""
    found = [(model, task, f"{tokens_folder(model, task)}/texts.json") for model, task in RUNS]
    tested = [(model, task) for model, task in RUNS if task in TESTED]
    found += [(model, task, f"{test_tokens_folder(model, task)}/texts.json") for model, task in tested]
    return [(model, task, file) for model, task, file in found if file not in UNMADE]


def figures(form):
    """The files of all figures."""
    return [file for model, task, file in figures_by_task(form)]


def kept_models():
    """The fine-tuned models that the study keeps."""
    return [f"{run.directory}/model.safetensors" for run in study.runs] if study.config["keep_models"] else []


def reloaded_models():
    """The proof that models load: for each model and task or, where they are not kept, for each run."""
    if not study.config["keep_models"]:
        return [f"{run.directory}/reloaded.csv" for run in study.runs]
    return [
        f"{layout.TASK_RESULTS.format(study=study.name, model=model, task=task)}/reloaded.csv" for model, task in RUNS
    ]


def record():
    """What only a complete study has: its models, the proof that they load, the record of what made it."""
    return [
        *kept_models(),
        *reloaded_models(),
        f"{STUDY_FOLDER}/provenance.json",
        f"{STUDY_FOLDER}/SHA256SUMS",
    ]


def reproduction():
    """All files of the reproduction, for studies that ask for it."""
    if not study.config["reproduction"]:
        return []
    folder = layout.PAPER.format(study=study.name)
    return [
        *(f"{folder}/{item}.html" for item in [*PAPER_TABLES, "observations", "parameter-orders"]),
        *(f"{folder}/{item}.{form}" for item in PAPER_FIGURES for form in ("png", "svg")),
        *reproduction_section(),
    ]


def reproduction_section():
    """The section of the report on the paper."""
    return [f"{layout.PAPER.format(study=study.name)}/section.json"] if study.config["reproduction"] else []


def report_sections():
    """Sections that are added to the report."""
    return [file for file in (*reproduction_section(), *judged()) if Path(file).name == "section.json"]


def plan():
    """What the study will run, and about how long that takes and how much disk."""
    return f"\n{plan_text(study, planned())}\n"
