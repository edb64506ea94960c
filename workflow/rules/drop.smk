# Layers are scored where a strategy asks for it, chosen, and dropped from the checkpoint.
#
# Needs: the model that layers are dropped from: downloaded, fine-tuned, or prepared by a rule of gradual.smk.
# Gives: the scores of layers and of subsets of them; layers.json, which says what was kept, and dropped/, a shorter checkpoint that is deleted after its use.


rule score_layers:
    input:
        unpack(checkpoint(scored_folder)),
        tokens=scoring_tokens,
    output:
        scores=layout.LAYER_SCORES,
    log:
        "logs/score_layers/{study}/{model}/{task}/{method}/{scored}.log",
    wildcard_constraints:
        method=score_names("score_layers"),
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("score_layers"),
        runtime=minutes("score_layers"),
    params:
        **code("score_layers"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q}"
        " --method {wildcards.method:q} --threads {params.threads} --device {params.device} --output {output.scores:q}"
        " 2>&1 | tee {log:q}"


rule score_gradients:
    input:
        unpack(checkpoint(scored_folder)),
        tokens=calibration_tokens,
        task=task_file,
    output:
        scores=layout.LAYER_SCORES,
    log:
        "logs/score_gradients/{study}/{model}/{task}/{method}/{scored}.log",
    wildcard_constraints:
        method=score_names("score_gradients"),
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("score_gradients"),
        runtime=minutes("score_gradients"),
    params:
        **code("score_gradients"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --task {input.task:q}"
        " --threads {params.threads} --device {params.device} --output {output.scores:q} 2>&1 | tee {log:q}"


rule score_parameters:
    input:
        unpack(checkpoint(scored_folder)),
    output:
        scores=layout.LAYER_SCORES,
    log:
        "logs/score_parameters/{study}/{model}/{task}/{method}/{scored}.log",
    wildcard_constraints:
        method=score_names("score_parameters"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("score_parameters"),
        weights=weights_to_score,
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --method {wildcards.method:q}"
        " --weights {params.weights} --output {output.scores:q} 2>&1 | tee {log:q}"


rule score_subsets:
    input:
        unpack(checkpoint(scored_folder)),
        tokens=calibration_tokens,
        task=task_file,
    output:
        scores=layout.LAYER_SCORES,
        table=layout.SUBSET_TABLE,
    log:
        "logs/score_subsets/{study}/{model}/{task}/{method}/{scored}.log",
    wildcard_constraints:
        method=score_names("score_subsets"),
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("score_subsets"),
        runtime=minutes("score_subsets"),
    params:
        **code("score_subsets"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        settings=lambda wildcards: as_json(study.score_settings(wildcards.task)),
        budget=as_options(layer_evaluations=study.config["subsets"]["layer_evaluations"]),
        options=lambda wildcards: [] if wildcards.scored == "pretrained" else ["--with-head"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --task {input.task:q}"
        " --settings {params.settings:q} {params.budget:q} {params.options:q}"
        " --threads {params.threads} --device {params.device} --table {output.table:q} --output {output.scores:q}"
        " 2>&1 | tee {log:q}"


rule race_subsets:
    input:
        unpack(checkpoint(start_folder)),
        tokens=tokens("train"),
        calibration=calibration_tokens,
        task=task_file,
        scores=subset_scores,
    output:
        race=f"{layout.RACE}.json",
        table=f"{layout.RACE}.csv",
    log:
        "logs/race_subsets/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.log",
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("race_subsets"),
        runtime=minutes("race_subsets"),
    params:
        **code("race_subsets"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        precision=study.config["compute"]["precision"],
        settings=lambda wildcards: as_json(study.race_settings(wildcards.task, wildcards.origin)),
        score_settings=lambda wildcards: as_json(study.score_settings(wildcards.task)),
        protect=protect_option,
        race=as_options(**study.config["race"]),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}",
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --scores {input.scores:q} --amount {wildcards.amount:q}"
        " {params.protect:q} {params.race:q} --tokens {input.tokens:q}"
        " --calibration {input.calibration:q} --task {input.task:q} --settings {params.settings:q}"
        " --score-settings {params.score_settings:q} --seed {wildcards.seed} --threads {params.threads}"
        " --device {params.device} --precision {params.precision} --label {params.run:q} --table {output.table:q}"
        " --output {output.race:q} 2>&1 | tee {log:q}"


rule choose_layers_of_baseline:
    input:
        config=lambda wildcards: f"{model_folder(wildcards)}/config.json",
    output:
        layers=f"{layout.BASELINE_RUN}/layers.json",
    log:
        "logs/choose_layers/{study}/{model}/{task}/baseline/seed{seed}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("choose_layers"),
    shell:
        "python {params.script:q} --config {input.config:q} --strategy none --amount 0 --output {output.layers:q}"
        " 2>&1 | tee {log:q}"


rule choose_layers:
    input:
        config=lambda wildcards: f"{model_folder(wildcards)}/config.json",
        scores=scores,
    output:
        layers=f"{layout.PRUNED_RUN}/layers.json",
    log:
        "logs/choose_layers/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("choose_layers"),
        amount=lambda wildcards: as_json(study.amount(wildcards.strategy, wildcards.amount)),
        scores=lambda wildcards, input: (["--scores", input.scores] if input.scores else []),
        protect=protect_option,
    shell:
        "python {params.script:q} --config {input.config:q} --strategy {wildcards.strategy:q} --amount {params.amount:q}"
        " {params.scores:q} {params.protect:q} --output {output.layers:q} 2>&1 | tee {log:q}"


rule drop_layers:
    input:
        unpack(checkpoint(source_folder)),
        layers=f"{layout.PRUNED_RUN}/layers.json",
    output:
        weights=temp(f"{layout.DROPPED}/model.safetensors"),
        config=temp(f"{layout.DROPPED}/config.json"),
        manifest=temp(f"{layout.DROPPED}/manifest.json"),
    log:
        "logs/drop_layers/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.log",
    priority: training_priority
    # On a cluster one job with the training that needs it: a step of seconds, whose large output is soon deleted.
    group:
        "refine"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory("drop_layers"),
    params:
        **code("drop_layers"),
        model_folder=subpath(input.config, parent=True),
        folder=subpath(output.weights, parent=True),
        options=last_drop,
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --layers {input.layers:q} {params.options:q}"
        " --output-dir {params.folder:q} 2>&1 | tee {log:q}"
