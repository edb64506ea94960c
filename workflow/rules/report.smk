# The page to send to a colleague: the answer, tables and figures, further sections, methods and provenance.
#
# Needs: the tables and figures, the manifests of what they were made from, and sections that other rules add.
# Gives: results/{study}/report.html.


rule write_report:
    input:
        runs="results/{study}/runs.csv",
        summary="results/{study}/tables/summary.csv",
        costs=expand("results/{{study}}/{model}/cost.json", model=study.models),
        figures=figures("svg"),
        models=[f"resources/models/{study.model_key(model)}/manifest.json" for model in study.models],
        tasks=[f"resources/tasks/{study.task_key(task)}/task.json" for task in study.tasks],
        sections=report_sections(),
        # Found by the script through runs.csv and the folder of the task.
        manifests=[f"{run.directory}/manifest.json" for run in study.runs],
        task_manifests=[f"resources/tasks/{study.task_key(task)}/manifest.json" for task in study.tasks],
    output:
        report="results/{study}/report.html",
    log:
        "logs/write_report/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("write_report"),
        # A function, so that braces in labels and columns are no wildcards.
        study=lambda wildcards: as_json(study.config),
    shell:
        "python {params.script:q} --runs {input.runs:q} --summary {input.summary:q} --costs {input.costs:q}"
        " --figures {input.figures:q} --models {input.models:q} --tasks {input.tasks:q} --study {params.study:q}"
        " --sections {input.sections:q} --output {output.report:q} 2>&1 | tee {log:q}"
