# What each layer costs, and what the layers of fine-tuned models represent.
#
# Needs: downloaded models, baselines, tokens.
# Gives: cost.json of each model; for the reproduction of the paper probes.parquet and similarity.json of each baseline.


rule measure_cost:
    input:
        config=lambda wildcards: f"{model_folder(wildcards)}/config.json",
        # Named on the command line by measured_texts.
        tokens=measured_tokens,
    output:
        cost=f"{layout.MODEL_RESULTS}/cost.json",
    log:
        "logs/measure_cost/{study}/{model}.log",
    # After all trainings, which have -1 to 0: at the start the packages of steps are still being imported.
    priority: -2
    conda:
        "../../envs/torch.yaml"
    threads: every_core
    resources:
        gpu=GPUS,
        mem_mb=memory("measure_cost"),
        runtime=minutes("measure_cost"),
    params:
        **code("measure_cost"),
        settings=as_options(
            batch_sizes=as_json(study.config["measure"]["batch_sizes"]),
            sequence_length=study.config["measure"]["sequence_length"],
            repeats=study.config["measure"]["repeats"],
        ),
        texts=measured_texts,
        device=study.config["compute"]["device"],
        threads=THREADS,
    shell:
        "python {params.script:q} --config {input.config:q} --model {wildcards.model:q} {params.settings:q}"
        " --threads {params.threads} {params.texts:q} --device {params.device} --output {output.cost:q} 2>&1 | tee {log:q}"


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
        settings=as_options(train_examples=study.config["probe"]["train_examples"]),
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --train-tokens {input.train:q}"
        " --validation-tokens {input.validation:q} --task {input.task:q} {params.settings:q}"
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
