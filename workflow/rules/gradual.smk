# Trainings before the last layers are dropped, for the origins that have them. All end in drop_layers and refine.
#
# Needs: a downloaded model, the task's tokens, and layers.json, which says what will be dropped and in which order.
# Gives: frozen/, the full model trained while the layers to drop are frozen (origin finetuned-frozen), and stage{n}/, the
# model trained after n layers were dropped (origin gradual). All of it is deleted after its use.


use rule finetune_baseline as finetune_frozen with:
    input:
        unpack(checkpoint(start_folder)),
        unpack(training_inputs),
        layers=f"{layout.PRUNED_RUN}/layers.json",
    output:
        weights=temp(f"{layout.FROZEN}/model.safetensors"),
        config=temp(f"{layout.FROZEN}/config.json"),
        tokenizer=temp(f"{layout.FROZEN}/tokenizer.json"),
        tokenizer_config=temp(f"{layout.FROZEN}/tokenizer_config.json"),
        training=f"{layout.FROZEN}/training.jsonl",
        manifest=f"{layout.FROZEN}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/frozen.log",
    params:
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}, before dropping",
        options=lambda wildcards, input: ["--freeze-layers", input.layers],


use rule drop_layers as drop_next_layer with:
    input:
        unpack(checkpoint(stage_before)),
        layers=f"{layout.PRUNED_RUN}/layers.json",
    output:
        weights=temp(f"{layout.STAGE_DROPPED}/model.safetensors"),
        config=temp(f"{layout.STAGE_DROPPED}/config.json"),
        manifest=temp(f"{layout.STAGE_DROPPED}/manifest.json"),
    log:
        "logs/drop_layers/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/stage{stage}.log",
    group:
        "stage{stage}"
    params:
        options=lambda wildcards: ["--stage", wildcards.stage],


use rule finetune_baseline as finetune_stage with:
    input:
        unpack(stage_start),
        unpack(training_inputs),
    output:
        weights=temp(f"{layout.STAGE}/model.safetensors"),
        config=temp(f"{layout.STAGE}/config.json"),
        tokenizer=temp(f"{layout.STAGE}/tokenizer.json"),
        tokenizer_config=temp(f"{layout.STAGE}/tokenizer_config.json"),
        training=f"{layout.STAGE}/training.jsonl",
        manifest=f"{layout.STAGE}/manifest.json",
    log:
        "logs/finetune/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}/stage{stage}.log",
    # Each stage a group of its own: when a job fails, all that its group had made goes with it.
    group:
        "stage{stage}"
    params:
        settings=lambda wildcards: as_json(study.preparation_settings(wildcards.task, wildcards.origin)),
        run="{model} {task} {origin} {strategy}-{amount} seed {seed}, {stage} dropped",
