# The paper's tables, figures and observations, with the paper's numbers and those of the study.
#
# Needs: scores, resamples and predictions of the runs that are shown; probes and similarities of the baselines.
# Gives: results/{study}/paper/, one CSV for each table and figure, with a page or a picture of it, and a section of the report.

PAPER_VALUES = os.path.relpath(LIBRARY / "shallower" / "paper" / "values.csv")
# Contribution scores of each model on each task, and the models that there are.
CONTRIBUTIONS = {
    (model, task): file
    for model, task in RUNS
    for file in made(
        [
            layout.LAYER_SCORES.format(
                study=study.name, model=model, task=task, method=CONTRIBUTION.name, scored="pretrained"
            )
        ]
    )
}
# Tasks of the paper, whose numbers of examples it has, and the cost.json of models whose time is in its text.
SIZED_TASKS = {
    task: folder
    for task, folder in TASK_FOLDERS.items()
    if study.counterparts["tasks"][task] and made([f"{folder}/task.json"])
}
TIMED_COSTS = made(
    f"{layout.MODEL_RESULTS.format(study=study.name, model=model)}/cost.json"
    for model, counterpart in study.counterparts["models"].items()
    if counterpart in PAPER_TIMED_MODELS
)
FETCHED_MODELS = {model: folder for model, folder in MODEL_FOLDERS.items() if made([f"{folder}/model.safetensors"])}


rule collect_states:
    input:
        runs=f"{layout.STUDY}/runs.csv",
        missing=f"{layout.STUDY}/missing.csv",
        # Found by the script through runs.csv.
        states=made(
            f"{baseline}/{name}"
            for model, task in RUNS
            for baseline in baselines(model, task)
            for name in ("probes.parquet", "similarity.json")
        ),
    output:
        states=f"{layout.STUDY}/states.csv",
    log:
        "logs/collect_states/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("collect_states"),
        settings=as_json(study.probe_score_settings),
    shell:
        "python {params.script:q} --runs {input.runs:q} --missing {input.missing:q} --settings {params.settings:q}"
        " --output {output.states:q} 2>&1 | tee {log:q}"


rule collect_scores:
    input:
        # Found by the script through the pairs of models and tasks.
        scores=list(CONTRIBUTIONS.values()),
    output:
        scores=f"{layout.STUDY}/scores.csv",
    log:
        "logs/collect_scores/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("collect_scores"),
        pairs=as_json(list(CONTRIBUTIONS)),
    shell:
        "python {params.script:q} --study {wildcards.study:q} --pairs {params.pairs:q} --output {output.scores:q}"
        " 2>&1 | tee {log:q}"


rule reproduce:
    input:
        unpack(item_inputs),
        values=PAPER_VALUES,
    output:
        frame=f"{layout.PAPER}/{{item}}.csv",
    log:
        "logs/reproduce/{study}/{item}.log",
    wildcard_constraints:
        item="|".join(PAPER_ITEMS),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("reproduce_item"),
        settings=as_json(
            {
                "confidence": study.config["evaluate"]["confidence"],
                "num_layers": {model: size.num_layers for model, size in FULL_MODELS.items()},
                "protected_arms": study.protected_arms,
                **study.counterparts,
            }
        ),
        inputs=lambda wildcards, input: [
            part
            for name in ("runs", "costs", "table")
            if name in input.keys()
            for part in (f"--{name}", *([input[name]] if isinstance(input[name], str) else input[name]))
        ],
    shell:
        "python {params.script:q} --item {wildcards.item:q} {params.inputs:q} --settings {params.settings:q}"
        " --output {output.frame:q} 2>&1 | tee {log:q}"


rule render_item:
    input:
        frame=f"{layout.PAPER}/{{item}}.csv",
    output:
        page=report(
            f"{layout.PAPER}/{{item}}.html",
            category="The paper's tables",
            labels={"table": "{item}"},
        ),
    log:
        "logs/render_item/{study}/{item}.log",
    wildcard_constraints:
        item="|".join(PAPER_TABLES),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("render_item"),
        confidence=study.config["evaluate"]["confidence"],
    shell:
        "python {params.script:q} --item {wildcards.item:q} --frame {input.frame:q} --confidence {params.confidence}"
        " --output {output.page:q} 2>&1 | tee {log:q}"


rule plot_reproduction:
    input:
        frame=f"{layout.PAPER}/{{item}}.csv",
    output:
        picture=report(
            f"{layout.PAPER}/{{item}}.png",
            category="The paper's figures",
            labels={"figure": "{item}"},
        ),
        drawing=f"{layout.PAPER}/{{item}}.svg",
    log:
        "logs/plot_reproduction/{study}/{item}.log",
    wildcard_constraints:
        item="|".join(PAPER_FIGURES),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plot_reproduction"),
        folder=subpath(output.picture, parent=True),
    shell:
        "python {params.script:q} --item {wildcards.item:q} --frame {input.frame:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule judge_observations:
    input:
        results=f"{layout.STUDY}/results.csv",
        resamples=f"{layout.STUDY}/resamples.parquet",
        states=f"{layout.STUDY}/states.csv",
        values=PAPER_VALUES,
        tasks=[f"{folder}/task.json" for folder in SIZED_TASKS.values()],
        costs=TIMED_COSTS,
    output:
        table=f"{layout.PAPER}/observations.csv",
        page=report(
            f"{layout.PAPER}/observations.html",
            category="The paper's observations",
            labels={"table": "observations"},
        ),
    log:
        "logs/judge_observations/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("judge_observations"),
        settings=as_json(
            {
                "confidence": study.config["evaluate"]["confidence"],
                "slices": {task: study.sliced_splits(task) for task in SIZED_TASKS},
                "protected_arms": study.protected_arms,
                "scored_elsewhere": study.arms_scored_elsewhere,
                **study.counterparts,
            }
        ),
        tasks=[part for task, folder in SIZED_TASKS.items() for part in ("--task", f"{task}={folder}")],
        folder=subpath(output.table, parent=True),
    shell:
        "python {params.script:q} --results {input.results:q} --resamples {input.resamples:q} --states {input.states:q}"
        " {params.tasks:q} --costs {input.costs:q} --settings {params.settings:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule check_parameter_orders:
    input:
        values=PAPER_VALUES,
        weights=[f"{folder}/model.safetensors" for folder in FETCHED_MODELS.values()],
        config=[f"{folder}/config.json" for folder in FETCHED_MODELS.values()],
    output:
        table=f"{layout.PAPER}/parameter-orders.csv",
        page=report(
            f"{layout.PAPER}/parameter-orders.html",
            category="The paper's tables",
            labels={"table": "parameter-orders"},
        ),
    log:
        "logs/check_parameter_orders/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("check_parameter_orders"),
        models=[part for model, folder in FETCHED_MODELS.items() for part in ("--model", f"{model}={folder}")],
        counterparts=as_json(study.counterparts["models"]),
        folder=subpath(output.table, parent=True),
    shell:
        "python {params.script:q} {params.models:q} --counterparts {params.counterparts:q}"
        " --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule present_reproduction:
    input:
        frames=[f"{layout.PAPER}/{item}.csv" for item in PAPER_ITEMS],
        figures=[f"{layout.PAPER}/{item}.svg" for item in PAPER_FIGURES],
        observations=f"{layout.PAPER}/observations.csv",
        orders=f"{layout.PAPER}/parameter-orders.csv",
    output:
        section=f"{layout.PAPER}/section.json",
    log:
        "logs/present_reproduction/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("present_reproduction"),
        settings=as_json(
            {
                "confidence": study.config["evaluate"]["confidence"],
                "models": study.counterparts["models"],
                "probe_examples": study.config["probe"]["train_examples"],
                "parameters": study.config["parameter_scores"]["weights"],
            }
        ),
    shell:
        "python {params.script:q} --frames {input.frames:q} --figures {input.figures:q}"
        " --observations {input.observations:q} --parameter-orders {input.orders:q} --settings {params.settings:q}"
        " --output {output.section:q} 2>&1 | tee {log:q}"
