# The pruned model is fine-tuned: the same script as the baseline, from other weights.
#
# Needs: dropped/ and the task's tokens.
# Gives: results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}, a model that loads with from_pretrained.


use rule finetune_baseline as refine with:
    input:
        unpack(training_inputs),
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
    benchmark:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.benchmark.tsv"
    group:
        "refine"
    params:
        settings=lambda wildcards: as_json(study.refine_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}",
        options=["--pruned-dtype", study.config["pruned_dtype"]] if study.config["pruned_dtype"] != "fp32" else [],
