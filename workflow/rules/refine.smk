# The shorter model is tuned: the same script as the baseline, from other weights.
#
# Needs: dropped/ and the task's tokens.
# Gives: results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}, a model that loads with from_pretrained.


use rule finetune_baseline as refine with:
    input:
        unpack(tuning_inputs),
        weights="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/dropped/model.safetensors",
        config="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/dropped/config.json",
        manifest="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/dropped/manifest.json",
    output:
        weights=keep("results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/model.safetensors"),
        config="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/config.json",
        tokenizer="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/tokenizer.json",
        tokenizer_config="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/tokenizer_config.json",
        training="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/training.jsonl",
        manifest="results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.log",
    benchmark:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}.benchmark.tsv"
    group:
        "refine"
    params:
        settings=lambda wildcards: as_json(study.refine_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}",
        options=["--kept-weights", study.config["kept_weights"]] if study.config["kept_weights"] != "fp32" else [],
