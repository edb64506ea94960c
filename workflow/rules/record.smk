# Last of all, models are shown to load, and what made the study is recorded, with the checksums of all its files.
#
# Needs: everything that the study consists of.
# Gives: reloaded.csv of each model and task, or of each run where models are deleted; results/{study}/provenance.json and
# SHA256SUMS.


rule reload_models:
    input:
        weights=run_files("model.safetensors"),
        configs=run_files("config.json"),
        predictions=run_files("predictions.parquet"),
        tokens=tokens("validation"),
        task=task_file,
        runs=lambda wildcards: written_settings(
            "reload_models", sorted(run.directory for run in RUNS[wildcards.model, wildcards.task])
        ),
    output:
        reloaded=f"{layout.TASK_RESULTS}/reloaded.csv",
    log:
        "logs/reload_models/{study}/{model}/{task}.log",
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        mem_mb=memory("reload_models"),
        runtime=minutes("reload_models"),
    params:
        **code("reload_models"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        models=lambda wildcards, input: ["--runs", input.runs],
    shell:
        "python {params.script:q} {params.models:q} --tokens {input.tokens:q} --task {input.task:q}"
        " --threads {params.threads} --output {output.reloaded:q} 2>&1 | tee {log:q}"


# Where models are not kept: each before it is deleted.
use rule reload_models as reload_model with:
    input:
        weights=f"{layout.RUN}/model.safetensors",
        configs=f"{layout.RUN}/config.json",
        predictions=f"{layout.RUN}/predictions.parquet",
        tokens=tokens("validation"),
        task=task_file,
    output:
        reloaded=f"{layout.RUN}/reloaded.csv",
    log:
        "logs/reload_models/{study}/{model}/{task}/{arm}/seed{seed}.log",
    group:
        "evaluate"
    params:
        # An edit of the check's code must not train deleted models again.
        code=None,
        models=lambda wildcards, input: ["--model-dirs", str(Path(input.configs).parent)],


rule record_study:
    input:
        study=STUDY_FILE,
        # Found by the script through the study; all files of the study are made before these two.
        report=f"{layout.STUDY}/report.html",
        reproduction=reproduction(),
        judged=judged(),
        reloaded=reloaded_models(),
        delivered=delivered(),
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
    shell:
        "python {params.script:q} --study {input.study:q} 2>&1 | tee {log:q}"
