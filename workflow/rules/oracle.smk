# Strategies are judged by what refining all subsets of layers shows, in studies that ask for it.
#
# Needs: judged.smk; results.csv and resamples.parquet, predictions and races of the runs that are judged, scores of layers and
# of subsets.
# Gives: results/{study}/oracle/: tables, figures, a page and a section of the report.


rule judge_strategies:
    input:
        results=f"{layout.STUDY}/results.csv",
        resamples=f"{layout.STUDY}/resamples.parquet",
        # Found by the script through results.csv and the places.
        predictions=[f"{run.directory}/predictions.parquet" for run in JUDGED_RUNS],
        races=JUDGED_RACES,
        scores=JUDGED_SCORES,
    output:
        tables=[f"{layout.ORACLE}/{name}.csv" for name in ORACLE_TABLES],
    log:
        "logs/judge_strategies/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("judge_strategies"),
        places=as_json(study.judged),
        settings=as_options(
            confidence=study.config["evaluate"]["confidence"], samples=study.config["evaluate"]["bootstrap_samples"]
        ),
        folder=layout.ORACLE,
    shell:
        "python {params.script:q} --study {wildcards.study:q} --results {input.results:q} --resamples {input.resamples:q}"
        " --places {params.places:q} {params.settings:q}"
        " --output-dir {params.folder:q} 2>&1 | tee {log:q}"


rule present_oracle:
    input:
        tables=[f"{layout.ORACLE}/{name}.csv" for name in ORACLE_TABLES],
    output:
        page=report(
            f"{layout.ORACLE}/oracle.html",
            category="Strategies judged",
            labels={"table": "which rule picks the layers to keep"},
        ),
        section=f"{layout.ORACLE}/section.json",
        figures=[f"{layout.ORACLE}/{name}.{form}" for name in ORACLE_FIGURES for form in ("png", "svg")],
    log:
        "logs/present_oracle/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("present_oracle"),
        confidence=study.config["evaluate"]["confidence"],
        folder=subpath(output.page, parent=True),
    shell:
        "python {params.script:q} --tables {input.tables:q} --confidence {params.confidence} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"
