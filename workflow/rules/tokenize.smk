# Tasks are tokenized once for each model, and shared by all its runs.
#
# Needs: a downloaded model and task.
# Gives: resources/tokens, also of calibration and test examples, of texts without labels and of those that are made from
# the training texts; AUGMENTATIONS, how these are made.

AUGMENTATIONS = {study.augmentation_key(task): study.augmentation(task) for task in study.tasks}


rule tokenize_task:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        train=f"{layout.TASK}/train.parquet",
        validation=f"{layout.TASK}/validation.parquet",
    output:
        train=f"{layout.TOKENS}/train.safetensors",
        validation=f"{layout.TOKENS}/validation.safetensors",
        texts=f"{layout.TOKENS}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=tokenizing_memory,
    params:
        **code("tokenize_task"),
        splits=layout.SPLITS,
        model_folder=subpath(input.config, parent=True),
        task_folder=subpath(input.train, parent=True),
        folder=subpath(output.train, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --task-dir {params.task_folder:q} --splits {params.splits:q}"
        " --max-length {wildcards.max_length} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


use rule tokenize_task as tokenize_calibration with:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        calibration=f"{layout.CALIBRATION_DATA}/calibration.parquet",
    output:
        calibration=f"{layout.CALIBRATION_TOKENS}/calibration.safetensors",
        texts=f"{layout.CALIBRATION_TOKENS}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-calibration{examples}.log",
    params:
        splits=["calibration"],
        task_folder=subpath(input.calibration, parent=True),
        folder=subpath(output.calibration, parent=True),


use rule tokenize_task as tokenize_unlabelled with:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        unlabelled=f"{layout.UNLABELLED_DATA}/unlabelled.parquet",
    output:
        unlabelled=f"{layout.UNLABELLED_TOKENS}/unlabelled.safetensors",
        texts=f"{layout.UNLABELLED_TOKENS}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-unlabelled-{unlabelled}.log",
    params:
        splits=["unlabelled"],
        task_folder=subpath(input.unlabelled, parent=True),
        folder=subpath(output.unlabelled, parent=True),


use rule tokenize_task as tokenize_test with:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        test=f"{layout.TEST_DATA}/test.parquet",
    output:
        test=f"{layout.TEST_TOKENS}/test.safetensors",
        texts=f"{layout.TEST_TOKENS}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-test-{test}.log",
    params:
        splits=["test"],
        task_folder=subpath(input.test, parent=True),
        folder=subpath(output.test, parent=True),


rule augment_tokens:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        tokens=f"{layout.TOKENS}/train.safetensors",
    output:
        augmented=f"{layout.AUGMENTED_TOKENS}/augmented.safetensors",
    log:
        "logs/augment_tokens/{model_key}/{task_key}/length{max_length}-{augmented}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=augmenting_memory,
    params:
        **code("augment_tokens"),
        settings=lambda wildcards: as_json(AUGMENTATIONS[wildcards.augmented]),
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --settings {params.settings:q}"
        " --output {output.augmented:q} 2>&1 | tee {log:q}"
