# All runs come together: one tidy table, then the tables and figures that answer the question.
#
# Needs: metrics.json and comparison.json of every run and arm, cost.json of every model.
# Gives: results/{study}/results.csv, resamples.parquet, tables/, figures/.

TABLES = ["answer.html", "summary.csv", "summary.html", "droppable.csv"]
FIGURES = ["score-by-layers", "score-by-cost"]


rule plan_runs:
    output:
        runs="results/{study}/runs.csv",
    log:
        "logs/plan_runs/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plan_runs"),
        grid=as_json(study.grid),
    shell:
        "python {params.script:q} --grid {params.grid:q} --output {output.runs:q} 2>&1 | tee {log:q}"


rule aggregate:
    input:
        runs="results/{study}/runs.csv",
        # Not on the command line, which has a length limit: the script finds them through runs.csv.
        metrics=[f"{run.directory}/metrics.json" for run in study.runs],
        run_resamples=[f"{run.directory}/resamples.npy" for run in study.runs],
        predictions=[f"{run.directory}/predictions.parquet" for run in study.runs],
    output:
        results=report(
            "results/{study}/results.csv",
            category="Tables",
            caption="../report/results.rst",
            labels={"table": "every run and metric"},
        ),
        resamples="results/{study}/resamples.parquet",
    log:
        "logs/aggregate/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("aggregate_results"),
    shell:
        "python {params.script:q} --runs {input.runs:q} --output {output.results:q} --resamples {output.resamples:q}"
        " 2>&1 | tee {log:q}"


rule tabulate:
    input:
        results="results/{study}/results.csv",
        runs="results/{study}/runs.csv",
        costs=expand("results/{{study}}/{model}/cost.json", model=study.models),
        # Found by the script through runs.csv.
        comparisons=[f"{arm}/comparison.json" for arms in ARMS.values() for arm in sorted(arms)],
    output:
        answer=report(
            "results/{study}/tables/answer.html",
            category="Answer",
            caption="../report/answer.rst",
            labels={"table": "the answer"},
        ),
        summary="results/{study}/tables/summary.csv",
        summary_page=report(
            "results/{study}/tables/summary.html",
            category="Tables",
            caption="../report/summary.rst",
            labels={"table": "summary: score, size and speed"},
        ),
        droppable=report(
            "results/{study}/tables/droppable.csv",
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
        " --tolerances {params.tolerances:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule plot:
    input:
        summary="results/{study}/tables/summary.csv",
        results="results/{study}/results.csv",
    output:
        by_layers=report(
            "results/{study}/figures/{model}/{task}/score-by-layers.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-layers.rst",
            labels={"figure": "score by layers dropped", "model": "{model}"},
        ),
        by_layers_svg="results/{study}/figures/{model}/{task}/score-by-layers.svg",
        by_cost=report(
            "results/{study}/figures/{model}/{task}/score-by-cost.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-cost.rst",
            labels={"figure": "score by speed and size", "model": "{model}"},
        ),
        by_cost_svg="results/{study}/figures/{model}/{task}/score-by-cost.svg",
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
