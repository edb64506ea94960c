# All runs come together: one tidy table, then the tables and figures that answer the question.
#
# Needs: metrics.json and comparison.json of every run and arm, cost.json of every model.
# Gives: results/{study}/runs.csv and missing.csv, results.csv, resamples.parquet, tables/, figures/, recommended.csv where
# the study has a budget, test-results.csv, test-resamples.parquet and test-texts.json where it has test examples.

TABLES = ["answer.html", "summary.csv", "summary.html", "droppable.csv"]
FIGURES = ["score-by-layers", "score-by-cost"]


rule write_study:
    input:
        settings=written_settings("write_study", study.config),
    output:
        study=STUDY_FILE,
    log:
        "logs/write_study/{study}.log",
    # Before all else: make status reads it.
    priority: 2
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("write_study"),
    shell:
        "python {params.script:q} --study {input.settings:q} --output {output.study:q} 2>&1 | tee {log:q}"


rule plan_runs:
    input:
        # Not study.json, not even as an ancient input: Snakemake would miss other changes of all that comes after a job
        # that reads a file which is written again.
        grid=written_settings("plan_runs", study.grid),
    output:
        runs=f"{layout.STUDY}/runs.csv",
        missing=f"{layout.STUDY}/missing.csv",
    log:
        "logs/plan_runs/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plan_runs"),
        unmade=["--unmade", UNMADE_FILE] if UNMADE else [],
    shell:
        "python {params.script:q} --grid {input.grid:q} {params.unmade:q} --output {output.runs:q}"
        " --missing {output.missing:q} 2>&1 | tee {log:q}"


rule aggregate:
    input:
        runs=f"{layout.STUDY}/runs.csv",
        # Not on the command line, which has a length limit: the script finds them through runs.csv.
        metrics=[f"{run.directory}/metrics.json" for run in PRESENT],
        run_resamples=[f"{run.directory}/resamples.npy" for run in PRESENT],
        predictions=[f"{run.directory}/predictions.parquet" for run in PRESENT],
    output:
        results=report(
            f"{layout.STUDY}/results.csv",
            category="Tables",
            caption="../report/results.rst",
            labels={"table": "every run and metric"},
        ),
        resamples=f"{layout.STUDY}/resamples.parquet",
    log:
        "logs/aggregate/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("aggregate_results"),
        options=[],
    shell:
        "python {params.script:q} --runs {input.runs:q} {params.options:q} --output {output.results:q} --resamples {output.resamples:q}"
        " 2>&1 | tee {log:q}"


use rule aggregate as aggregate_test with:
    input:
        runs=f"{layout.STUDY}/runs.csv",
        # Not on the command line, which has a length limit: the script finds them through runs.csv.
        files=[
            f"{run.directory}/{layout.TEST}/{name}"
            for run in PRESENT
            if run.task in TESTED
            for name in ("metrics.json", "resamples.npy", "predictions.parquet")
        ],
    output:
        results=report(
            layout.TEST_RESULTS,
            category="Tables",
            caption="../report/test-results.rst",
            labels={"table": "every run and metric, on test examples"},
        ),
        resamples=layout.TEST_RESAMPLES,
    log:
        "logs/aggregate_test/{study}.log",
    localrule: True
    params:
        options=["--tested", *TESTED],


rule compare_texts:
    input:
        test=[file for task in TESTED for file in test_tables(task)],
        others=[file for task in TESTED for file in other_tables(task)],
    output:
        texts=layout.TEST_TEXTS,
    log:
        "logs/compare_texts/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("compare_texts"),
        tasks=[part for task in TESTED for part in ("--task", task, *test_tables(task), *other_tables(task))],
    shell:
        "python {params.script:q} {params.tasks:q} --output {output.texts:q} 2>&1 | tee {log:q}"


rule tabulate:
    input:
        results=f"{layout.STUDY}/results.csv",
        runs=f"{layout.STUDY}/runs.csv",
        costs=costs(),
        test=test_results(layout.TEST_RESULTS, layout.TEST_RESAMPLES),
        # Found by the script through runs.csv.
        comparisons=[f"{arm_folder(*arm)}/comparison.json" for arm in ARMS],
    output:
        answer=report(
            f"{layout.TABLES}/answer.html",
            category="Answer",
            caption="../report/answer.rst",
            labels={"table": "the answer"},
        ),
        summary=f"{layout.TABLES}/summary.csv",
        summary_page=report(
            f"{layout.TABLES}/summary.html",
            category="Tables",
            caption="../report/summary.rst",
            labels={"table": "summary: score, size and speed"},
        ),
        droppable=report(
            f"{layout.TABLES}/droppable.csv",
            category="Tables",
            caption="../report/droppable.rst",
            labels={"table": "layers that can be dropped"},
        ),
    log:
        "logs/tabulate/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("tabulate_results"),
        tolerances=as_json(study.config["report"]["tolerances"]),
        folder=subpath(output.summary, parent=True),
    shell:
        "python {params.script:q} --results {input.results:q} --runs {input.runs:q} --costs {input.costs:q}"
        " --test {input.test:q} --tolerances {params.tolerances:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule recommend:
    input:
        summary=f"{layout.TABLES}/summary.csv",
        results=f"{layout.STUDY}/results.csv",
        resamples=f"{layout.STUDY}/resamples.parquet",
        test=test_results(layout.TEST_RESULTS, layout.TEST_RESAMPLES),
        variants=variants_table(),
        tested=of_tested("test-evaluated.json"),
    output:
        recommended=report(
            layout.RECOMMENDED,
            category="Answer",
            caption="../report/recommended.rst",
            labels={"table": "recommended models"},
        ),
    log:
        "logs/recommend/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("recommend_models"),
        budget=as_json(study.config["budget"]),
        confidence=study.config["evaluate"]["confidence"],
    shell:
        "python {params.script:q} --summary {input.summary:q} --results {input.results:q} --resamples {input.resamples:q}"
        " --test {input.test:q} --variants {input.variants:q} --tested {input.tested:q} --budget {params.budget:q}"
        " --confidence {params.confidence} --output {output.recommended:q} 2>&1 | tee {log:q}"


rule plot:
    input:
        summary=f"{layout.TABLES}/summary.csv",
        results=f"{layout.STUDY}/results.csv",
    output:
        by_layers=report(
            f"{layout.FIGURES}/score-by-layers.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-layers.rst",
            labels={"figure": "score by layers dropped", "model": "{model}"},
        ),
        by_layers_svg=f"{layout.FIGURES}/score-by-layers.svg",
        by_cost=report(
            f"{layout.FIGURES}/score-by-cost.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-cost.rst",
            labels={"figure": "score by speed and size", "model": "{model}"},
        ),
        by_cost_svg=f"{layout.FIGURES}/score-by-cost.svg",
    log:
        "logs/plot/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plot_results"),
        folder=subpath(output.by_layers, parent=True),
    shell:
        "python {params.script:q} --summary {input.summary:q} --results {input.results:q} --model {wildcards.model:q}"
        " --task {wildcards.task:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule plot_depths:
    input:
        unpack(recommended),
        summary=f"{layout.TABLES}/summary.csv",
        results=f"{layout.STUDY}/results.csv",
        # Found by the script through its options.
        scores=lambda wildcards: [file for _, file in subset_scores_of(wildcards.model, wildcards.task)],
    output:
        by_depth=report(
            f"{layout.FIGURES}/score-by-depth.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-depth.rst",
            labels={"figure": "score by layers kept", "model": "{model}"},
        ),
        by_depth_svg=f"{layout.FIGURES}/score-by-depth.svg",
    log:
        "logs/plot_depths/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plot_depths"),
        budget=budget_options,
        subsets=subset_options,
        folder=subpath(output.by_depth, parent=True),
    shell:
        "python {params.script:q} --summary {input.summary:q} --results {input.results:q} --model {wildcards.model:q}"
        " --task {wildcards.task:q} {params.budget:q} {params.subsets:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule plot_subsets:
    input:
        # Found by the script through its options.
        scores=lambda wildcards: [file for _, file in subset_scores_of(wildcards.model, wildcards.task)],
    output:
        layers=report(
            f"{layout.FIGURES}/layers-of-best-subsets.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/layers-of-best-subsets.rst",
            labels={"figure": "layers of the best subsets", "model": "{model}"},
        ),
        layers_svg=f"{layout.FIGURES}/layers-of-best-subsets.svg",
    log:
        "logs/plot_subsets/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plot_subsets"),
        subsets=subset_options,
        folder=subpath(output.layers, parent=True),
    shell:
        "python {params.script:q} --model {wildcards.model:q} --task {wildcards.task:q} {params.subsets:q}"
        " --output-dir {params.folder:q} 2>&1 | tee {log:q}"
