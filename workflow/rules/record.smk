# Last of all, what made the study is put on record, with the hashes of all its files for make verify.
#
# Needs: everything that the study consists of.
# Gives: results/{study}/provenance.json and SHA256SUMS.


rule record_study:
    input:
        # All files of the study are made before these two.
        report="results/{study}/report.html",
        reproduction=reproduction(),
        reloaded=reloaded_models(),
        models=[f"resources/models/{study.model_key(model)}/manifest.json" for model in study.models],
        tasks=[f"resources/tasks/{study.task_key(task)}/manifest.json" for task in study.tasks],
    output:
        record="results/{study}/provenance.json",
        sums="results/{study}/SHA256SUMS",
    log:
        "logs/record_study/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("record_study"),
        # A function, since braces in plain text are wildcards to Snakemake.
        study=lambda wildcards: as_json(study.config),
        folder=subpath(output.record, parent=True),
    shell:
        "python {params.script:q} --results-dir {params.folder:q} --study {params.study:q} --models {input.models:q}"
        " --tasks {input.tasks:q} 2>&1 | tee {log:q}"
