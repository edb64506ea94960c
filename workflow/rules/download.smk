# Models and tasks are fetched and brought into one form.
#
# Needs: the study; for local sources their files.
# Gives: resources/models, resources/tasks, with the calibration and test examples and the texts without labels of each task.
#
# Downloads come first, so that problems with inputs show before long work starts. They are not retried here: the library
# retries transient errors, and permanent ones fail once.


MODELS = {study.model_key(name): study.model_definition(name) for name in study.models}
TASKS = {study.task_key(name): study.task_definition(name) for name in study.tasks}
UNLABELLED = {study.task_key(name): study.unlabelled_definition(name) for name in study.tasks}
TESTS = {study.task_key(name): study.test_definition(name) for name in study.tasks}


rule download_model:
    input:
        files=lambda wildcards: local_model_files(MODELS[wildcards.model_key]),
    output:
        weights=f"{layout.MODEL}/model.safetensors",
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        manifest=f"{layout.MODEL}/manifest.json",
    log:
        "logs/download_model/{model_key}.log",
    priority: 1
    localrule: True
    conda:
        "../../envs/download.yaml"
    params:
        **code("download_model"),
        model=lambda wildcards: as_json(MODELS[wildcards.model_key]),
        content=lambda wildcards: content_of(local_model_files(MODELS[wildcards.model_key])),
        folder=subpath(output.weights, parent=True),
    shell:
        f"HF_HUB_OFFLINE=${environment.HUB_OFFLINE} "
        "python {params.script:q} --model {params.model:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule download_task:
    input:
        files=lambda wildcards: local_task_files(TASKS[wildcards.task_key]),
    output:
        train=f"{layout.TASK}/train.parquet",
        validation=f"{layout.TASK}/validation.parquet",
        task=f"{layout.TASK}/task.json",
        manifest=f"{layout.TASK}/manifest.json",
    log:
        "logs/download_task/{task_key}.log",
    priority: 1
    localrule: True
    conda:
        "../../envs/download.yaml"
    params:
        **code("download_task"),
        task=lambda wildcards: as_json(TASKS[wildcards.task_key]),
        content=lambda wildcards: content_of(local_task_files(TASKS[wildcards.task_key])),
        folder=subpath(output.train, parent=True),
    shell:
        f"HF_HUB_OFFLINE=${environment.HUB_OFFLINE} "
        "python {params.script:q} --task {params.task:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule download_calibration:
    input:
        files=lambda wildcards: local_task_files(TASKS[wildcards.task_key]),
    output:
        calibration=f"{layout.CALIBRATION_DATA}/calibration.parquet",
        manifest=f"{layout.CALIBRATION_DATA}/manifest.json",
    log:
        "logs/download_calibration/{task_key}-{examples}.log",
    priority: 1
    localrule: True
    conda:
        "../../envs/download.yaml"
    params:
        **code("download_calibration"),
        task=lambda wildcards: as_json(TASKS[wildcards.task_key]),
        content=lambda wildcards: content_of(local_task_files(TASKS[wildcards.task_key])),
        folder=subpath(output.manifest, parent=True),
    shell:
        f"HF_HUB_OFFLINE=${environment.HUB_OFFLINE} "
        "python {params.script:q} --task {params.task:q} --examples {wildcards.examples} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule download_test:
    input:
        files=lambda wildcards: local_task_files(TESTS[wildcards.task_key]),
    output:
        test=f"{layout.TEST_DATA}/test.parquet",
        manifest=f"{layout.TEST_DATA}/manifest.json",
    log:
        "logs/download_test/{task_key}-{test}.log",
    priority: 1
    localrule: True
    conda:
        "../../envs/download.yaml"
    params:
        **code("download_test"),
        task=lambda wildcards: as_json(TESTS[wildcards.task_key]),
        content=lambda wildcards: content_of(local_task_files(TESTS[wildcards.task_key])),
        folder=subpath(output.manifest, parent=True),
    shell:
        f"HF_HUB_OFFLINE=${environment.HUB_OFFLINE} "
        "python {params.script:q} --task {params.task:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule download_unlabelled:
    input:
        files=lambda wildcards: local_unlabelled_files(UNLABELLED[wildcards.task_key]),
        train=f"{layout.TASK}/train.parquet",
        validation=f"{layout.TASK}/validation.parquet",
        others=held_out_tables,
    output:
        unlabelled=f"{layout.UNLABELLED_DATA}/unlabelled.parquet",
        manifest=f"{layout.UNLABELLED_DATA}/manifest.json",
    log:
        "logs/download_unlabelled/{task_key}-{unlabelled}.log",
    priority: 1
    localrule: True
    conda:
        "../../envs/download.yaml"
    params:
        **code("download_unlabelled"),
        task=lambda wildcards: as_json(UNLABELLED[wildcards.task_key]),
        content=lambda wildcards: content_of(local_unlabelled_files(UNLABELLED[wildcards.task_key])),
        task_folder=subpath(input.train, parent=True),
        folder=subpath(output.manifest, parent=True),
    shell:
        "python {params.script:q} --task {params.task:q} --task-dir {params.task_folder:q} --others {input.others:q}"
        " --output-dir {params.folder:q} 2>&1 | tee {log:q}"
