# The page to send to a colleague: the answer, tables and figures, further sections, methods and provenance.
#
# Needs: the tables and figures, the manifests of what they were made from, and sections that other rules add.
# Gives: results/{study}/report.html.


rule write_report:
    input:
        study=STUDY_FILE,
        runs=f"{layout.STUDY}/runs.csv",
        summary=f"{layout.TABLES}/summary.csv",
        missing=f"{layout.STUDY}/missing.csv",
        costs=costs(),
        recommended=recommendation(),
        variants=variant_figures("json"),
        figures=figures("svg"),
        models=made(f"{folder}/manifest.json" for folder in MODEL_FOLDERS.values()),
        tasks=made(f"{folder}/task.json" for folder in TASK_FOLDERS.values()),
        sections=report_sections(),
        texts=[file for *_, file in texts_by_task()],
        unlabelled=made(unlabelled_manifests()),
        test=test_results(layout.TEST_RESULTS, layout.TEST_RESAMPLES),
        test_manifests=made(test_manifests()),
        test_texts=made(test_results(layout.TEST_TEXTS)),
        # Found by the script through runs.csv and the folder of the task.
        metrics=[f"{run.directory}/metrics.json" for run in PRESENT],
        manifests=[f"{run.directory}/manifest.json" for run in PRESENT],
        task_manifests=made(f"{folder}/manifest.json" for folder in TASK_FOLDERS.values()),
    output:
        report=f"{layout.STUDY}/report.html",
    log:
        "logs/write_report/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("write_report"),
        texts=[part for model, task, file in texts_by_task() for part in ("--texts", model, task, file)],
        figures=[part for model, task, file in figures_by_task("svg") for part in ("--figure", model, task, file)],
    shell:
        "python {params.script:q} --runs {input.runs:q} --missing {input.missing:q} --summary {input.summary:q} --costs {input.costs:q}"
        " --recommended {input.recommended:q} {params.figures:q} {params.texts:q} --models {input.models:q} --tasks {input.tasks:q} --study {input.study:q}"
        " --variants {input.variants:q} --sections {input.sections:q} --unlabelled {input.unlabelled:q} --test {input.test:q}"
        " --test-manifests {input.test_manifests:q} --test-texts {input.test_texts:q} --output {output.report:q} 2>&1 | tee {log:q}"
