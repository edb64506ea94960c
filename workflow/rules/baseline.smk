# The full model is fine-tuned: once for each model, task and seed, shared by everything that is compared with it.
#
# Needs: a downloaded model and a task's tokens.
# Gives: results/{study}/{model}/{task}/baseline/seed{seed}, a model that loads with from_pretrained.


rule finetune_baseline:
    input:
        unpack(checkpoint(model_folder)),
        unpack(training_inputs),
    output:
        weights=keep(f"{layout.BASELINE_RUN}/model.safetensors"),
        config=f"{layout.BASELINE_RUN}/config.json",
        tokenizer=f"{layout.BASELINE_RUN}/tokenizer.json",
        tokenizer_config=f"{layout.BASELINE_RUN}/tokenizer_config.json",
        training=f"{layout.BASELINE_RUN}/training.jsonl",
        manifest=f"{layout.BASELINE_RUN}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/baseline/seed{seed}.log",
    priority: training_priority
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("finetune"),
        runtime=minutes("finetune"),
    params:
        **code("finetune"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        settings=lambda wildcards: as_json(study.train_settings(wildcards.task)),
        precision=study.config["compute"]["precision"],
        device=study.config["compute"]["device"],
        run="{model} {task} baseline seed {seed}",
        options=[],
        folder=subpath(output.config, parent=True),
        model_folder=subpath(input.config, parent=True),
        tokenizer_folder=subpath(input.tokenizer, parent=True),
        # Not an output: Snakemake deletes outputs before a job, and a killed run must find its checkpoint.
        scratch=layout.SCRATCH,
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --task {input.task:q}"
        " --settings {params.settings:q} --seed {wildcards.seed} --threads {params.threads} --device {params.device}"
        " --precision {params.precision} --tokenizer-dir {params.tokenizer_folder:q} --scratch {params.scratch:q}"
        " --label {params.run:q} {params.options:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"
