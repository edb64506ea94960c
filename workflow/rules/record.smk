# Last of all, what made the study is put on record, with the hashes of all its files for make verify.
#
# Needs: everything that the study consists of.
# Gives: results/{study}/provenance.json and SHA256SUMS.


rule record_study:
    input:
        # All files of the study are made before these two.
        report=f"{layout.STUDY}/report.html",
        reloaded=reloaded_models(),
        models=[f"{folder}/manifest.json" for folder in MODEL_FOLDERS.values()],
        tasks=[f"{folder}/manifest.json" for folder in TASK_FOLDERS.values()],
    output:
        record=f"{layout.STUDY}/provenance.json",
        sums=f"{layout.STUDY}/SHA256SUMS",
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
