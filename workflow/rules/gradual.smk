# Two ways to tune a model that still has layers to lose. Both end in drop_layers and refine, as the other origins do.
#
# Needs: a downloaded model, the task's tokens, and layers.json, which says what will be dropped and in which order.
# Gives: frozen/, the whole model tuned while the layers that will go are frozen (origin finetuned-frozen), and stage{n}/, the
# model tuned after n layers have gone (origin gradual). All of it is deleted after its use.

ARM = "results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}"


use rule finetune_baseline as finetune_frozen with:
    input:
        unpack(checkpoint(start_folder)),
        unpack(tuning_inputs),
        layers=f"{ARM}/layers.json",
    output:
        weights=temp(f"{ARM}/frozen/model.safetensors"),
        config=temp(f"{ARM}/frozen/config.json"),
        tokenizer=temp(f"{ARM}/frozen/tokenizer.json"),
        tokenizer_config=temp(f"{ARM}/frozen/tokenizer_config.json"),
        training=f"{ARM}/frozen/training.jsonl",
        manifest=f"{ARM}/frozen/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/frozen.log",
    benchmark:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/frozen.benchmark.tsv"
    params:
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}, before dropping",
        options=lambda wildcards, input: ["--freeze-layers", input.layers],


use rule drop_layers as drop_next_layer with:
    input:
        unpack(checkpoint(stage_before)),
        layers=f"{ARM}/layers.json",
    output:
        weights=temp(f"{ARM}/stage{{stage}}/dropped/model.safetensors"),
        config=temp(f"{ARM}/stage{{stage}}/dropped/config.json"),
        manifest=temp(f"{ARM}/stage{{stage}}/dropped/manifest.json"),
    log:
        "logs/drop_layers/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/stage{stage}.log",
    group:
        "stage{stage}"
    params:
        options=lambda wildcards: ["--stage", wildcards.stage],


use rule finetune_baseline as finetune_stage with:
    input:
        unpack(stage_start),
        unpack(tuning_inputs),
    output:
        weights=temp(f"{ARM}/stage{{stage}}/model.safetensors"),
        config=temp(f"{ARM}/stage{{stage}}/config.json"),
        tokenizer=temp(f"{ARM}/stage{{stage}}/tokenizer.json"),
        tokenizer_config=temp(f"{ARM}/stage{{stage}}/tokenizer_config.json"),
        training=f"{ARM}/stage{{stage}}/training.jsonl",
        manifest=f"{ARM}/stage{{stage}}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/stage{stage}.log",
    benchmark:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/stage{stage}.benchmark.tsv"
    # Each stage a group of its own: when a job fails, all that its group had made goes with it.
    group:
        "stage{stage}"
    params:
        settings=lambda wildcards: as_json(study.preparation_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}, {stage} dropped",
