# The pruned model is fine-tuned: the same script as the baseline, from other weights. The baseline may teach it, also by
# its answers to texts without labels.
#
# Needs: dropped/ and the task's tokens, and the baseline where it teaches.
# Gives: results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}, a model that loads with from_pretrained.


rule teach:
    input:
        unpack(unlabelled_tokens),
        weights=f"{layout.BASELINE_RUN}/model.safetensors",
        config=f"{layout.BASELINE_RUN}/config.json",
        tokens=tokens("train"),
    output:
        answers=layout.TEACHER,
    log:
        "logs/teach/{study}/{model}/{task}/seed{seed}.log",
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("teach"),
        runtime=minutes("teach"),
    params:
        **code("teach"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
        options=teach_options,
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} {params.options:q}"
        " --threads {params.threads} --device {params.device} --output {output.answers:q} 2>&1 | tee {log:q}"


use rule finetune_baseline as refine with:
    input:
        unpack(training_inputs),
        unpack(teacher),
        weights=f"{layout.DROPPED}/model.safetensors",
        config=f"{layout.DROPPED}/config.json",
        manifest=f"{layout.DROPPED}/manifest.json",
    output:
        weights=keep(f"{layout.PRUNED_RUN}/model.safetensors"),
        config=f"{layout.PRUNED_RUN}/config.json",
        tokenizer=f"{layout.PRUNED_RUN}/tokenizer.json",
        tokenizer_config=f"{layout.PRUNED_RUN}/tokenizer_config.json",
        training=f"{layout.PRUNED_RUN}/training.jsonl",
        manifest=f"{layout.PRUNED_RUN}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.log",
    group:
        "refine"
    params:
        settings=lambda wildcards: as_json(study.refine_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}",
        options=refine_options,
