# Models predict, predictions are scored, and each way of dropping is compared with the baseline.
#
# Needs: tuned models, validation tokens.
# Gives: predictions.parquet, metrics.json and resamples.npy of each run, comparison.json of each arm, cost.json of each
# model, reloaded.csv of each model and task whose models are kept; for the paper's analyses probes.parquet and
# similarity.json of each baseline.


# In fp32 on every device: scores are not to depend on how a model was run, only on how it was trained.
rule predict:
    input:
        weights=f"{layout.RUN}/model.safetensors",
        config=f"{layout.RUN}/config.json",
        layers=f"{layout.RUN}/layers.json",
        tokens=tokens("validation"),
    output:
        predictions=f"{layout.RUN}/predictions.parquet",
    log:
        "logs/predict/{study}/{model}/{task}/{arm}/seed{seed}.log",
    benchmark:
        "logs/predict/{study}/{model}/{task}/{arm}/seed{seed}.benchmark.tsv"
    # Not with the tuning: when a job fails, all that its group had made goes with it.
    group:
        "evaluate"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("predict"),
        runtime=minutes("predict"),
    params:
        **code("predict"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --layers {input.layers:q}"
        " --threads {params.threads} --device {params.device} --precision fp32"
        " --output {output.predictions:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        predictions=f"{layout.RUN}/predictions.parquet",
        layers=f"{layout.RUN}/layers.json",
        manifest=f"{layout.RUN}/manifest.json",
        task=task_file,
    output:
        metrics=f"{layout.RUN}/metrics.json",
        resamples=f"{layout.RUN}/resamples.npy",
    log:
        "logs/evaluate/{study}/{model}/{task}/{arm}/seed{seed}.log",
    benchmark:
        "logs/evaluate/{study}/{model}/{task}/{arm}/seed{seed}.benchmark.tsv"
    group:
        "evaluate"
    conda:
        "../../envs/report.yaml"
    params:
        **code("evaluate_predictions"),
        identity=lambda wildcards: as_json(identity(wildcards) | {"seed": int(wildcards.seed)}),
        settings=lambda wildcards: as_json(study.evaluate_settings(wildcards.task)),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --task {input.task:q} --layers {input.layers:q}"
        " --manifest {input.manifest:q} --identity {params.identity:q} --settings {params.settings:q}"
        " --resamples {output.resamples:q} --output {output.metrics:q} 2>&1 | tee {log:q}"


rule compare:
    input:
        unpack(predictions_to_compare),
    output:
        comparison=f"{layout.ARM}/comparison.json",
    log:
        "logs/compare/{study}/{model}/{task}/{arm}.log",
    benchmark:
        "logs/compare/{study}/{model}/{task}/{arm}.benchmark.tsv"
    wildcard_constraints:
        arm=rf"({ORIGIN})/[^/]+",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("compare_runs"),
        identity=lambda wildcards: as_json(identity(wildcards)),
        settings=lambda wildcards: as_json(study.compare_settings(wildcards.task)),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --baseline-predictions {input.baseline:q}"
        " --task {input.task:q} --identity {params.identity:q} --settings {params.settings:q}"
        " --output {output.comparison:q} 2>&1 | tee {log:q}"


rule reload_models:
    input:
        weights=run_files("model.safetensors"),
        configs=run_files("config.json"),
        predictions=run_files("predictions.parquet"),
        tokens=tokens("validation"),
        task=task_file,
    output:
        reloaded=f"{layout.TASK_RESULTS}/reloaded.csv",
    log:
        "logs/reload_models/{study}/{model}/{task}.log",
    benchmark:
        "logs/reload_models/{study}/{model}/{task}.benchmark.tsv"
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
        folders=lambda wildcards: sorted(run.directory for run in RUNS[wildcards.model, wildcards.task]),
    shell:
        "python {params.script:q} --model-dirs {params.folders:q} --tokens {input.tokens:q} --task {input.task:q}"
        " --threads {params.threads} --output {output.reloaded:q} 2>&1 | tee {log:q}"


rule measure_cost:
    input:
        config=lambda wildcards: f"{model_folder(wildcards)}/config.json",
    output:
        cost=f"{layout.MODEL_RESULTS}/cost.json",
    log:
        "logs/measure_cost/{study}/{model}.log",
    benchmark:
        "logs/measure_cost/{study}/{model}.benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: every_core
    resources:
        gpu=GPUS,
        mem_mb=memory("measure_cost"),
        runtime=minutes("measure_cost"),
    params:
        **code("measure_cost"),
        batch_sizes=as_json(study.config["measure"]["batch_sizes"]),
        sequence_length=study.config["measure"]["sequence_length"],
        repeats=study.config["measure"]["repeats"],
        device=study.config["compute"]["device"],
        threads=THREADS,
    shell:
        "python {params.script:q} --config {input.config:q} --batch-sizes {params.batch_sizes:q}"
        " --sequence-length {params.sequence_length} --repeats {params.repeats} --threads {params.threads}"
        " --device {params.device} --output {output.cost:q} 2>&1 | tee {log:q}"


rule probe_layers:
    input:
        weights=f"{layout.BASELINE_RUN}/model.safetensors",
        config=f"{layout.BASELINE_RUN}/config.json",
        train=tokens("train"),
        validation=tokens("validation"),
        task=task_file,
    output:
        probes=f"{layout.BASELINE_RUN}/probes.parquet",
    log:
        "logs/probe_layers/{study}/{model}/{task}/seed{seed}.log",
    benchmark:
        "logs/probe_layers/{study}/{model}/{task}/seed{seed}.benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("probe_layers"),
        runtime=minutes("probe_layers"),
    params:
        **code("probe_layers"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        train_examples=study.config["probe"]["train_examples"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --train-tokens {input.train:q}"
        " --validation-tokens {input.validation:q} --task {input.task:q} --train-examples {params.train_examples}"
        " --threads {params.threads} --device {params.device} --output {output.probes:q} 2>&1 | tee {log:q}"


rule compare_states:
    input:
        weights=f"{layout.BASELINE_RUN}/model.safetensors",
        config=f"{layout.BASELINE_RUN}/config.json",
        pretrained_weights=lambda wildcards: f"{model_folder(wildcards)}/model.safetensors",
        pretrained_config=lambda wildcards: f"{model_folder(wildcards)}/config.json",
        tokens=tokens("validation"),
    output:
        similarity=f"{layout.BASELINE_RUN}/similarity.json",
    log:
        "logs/compare_states/{study}/{model}/{task}/seed{seed}.log",
    benchmark:
        "logs/compare_states/{study}/{model}/{task}/seed{seed}.benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("compare_states"),
        runtime=minutes("compare_states"),
    params:
        **code("compare_states"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
        pretrained_folder=subpath(input.pretrained_config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --pretrained-dir {params.pretrained_folder:q}"
        " --tokens {input.tokens:q} --threads {params.threads} --device {params.device} --output {output.similarity:q}"
        " 2>&1 | tee {log:q}"
