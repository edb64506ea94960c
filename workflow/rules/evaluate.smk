# Models predict, predictions are scored, and each way of dropping is compared with the baseline.
#
# Needs: fine-tuned models, validation tokens, test and calibration tokens where a task has them.
# Gives: predictions.parquet, metrics.json and resamples.npy of each run, on test examples in its folder test/; comparison.json
# of each arm; thresholds.json of each baseline, where a study tunes thresholds.


# In fp32 on every device: scores are not to depend on how a model was run, only on how it was trained.
rule predict:
    input:
        weights=f"{layout.RUN}/model.safetensors",
        config=f"{layout.RUN}/config.json",
        layers=f"{layout.RUN}/layers.json",
        tokens=tokens("validation"),
    output:
        predictions=f"{layout.RUN}/predictions.parquet",
    log:
        "logs/predict/{study}/{model}/{task}/{arm}/seed{seed}.log",
    # Not with the training: when a job fails, all that its group had made is lost with it.
    group:
        "evaluate"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory("predict"),
        runtime=minutes("predict"),
    params:
        **code("predict"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        device=study.config["compute"]["device"],
        model_folder=subpath(input.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --tokens {input.tokens:q} --layers {input.layers:q}"
        " --threads {params.threads} --device {params.device} --precision fp32"
        " --output {output.predictions:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        predictions=f"{layout.RUN}/predictions.parquet",
        layers=f"{layout.RUN}/layers.json",
        manifest=f"{layout.RUN}/manifest.json",
        task=task_file,
        # Found by the script through the name of the run.
        thresholds=thresholds,
    output:
        metrics=f"{layout.RUN}/metrics.json",
        resamples=f"{layout.RUN}/resamples.npy",
    log:
        "logs/evaluate/{study}/{model}/{task}/{arm}/seed{seed}.log",
    group:
        "evaluate"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory("evaluate_predictions"),
    params:
        **code("evaluate_predictions"),
        identity=lambda wildcards: as_json(identity(wildcards) | {"seed": int(wildcards.seed)}),
        settings=lambda wildcards: as_json(study.evaluate_settings(wildcards.task)),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --task {input.task:q} --layers {input.layers:q}"
        " --manifest {input.manifest:q} --identity {params.identity:q} --settings {params.settings:q}"
        " --resamples {output.resamples:q} --output {output.metrics:q} 2>&1 | tee {log:q}"


# All runs predict the test examples of a task that has them: which one will be reported on them is not known yet.
use rule predict as predict_test with:
    input:
        weights=f"{layout.RUN}/model.safetensors",
        config=f"{layout.RUN}/config.json",
        layers=f"{layout.RUN}/layers.json",
        tokens=lambda wildcards: f"{test_tokens_folder(wildcards.model, wildcards.task)}/test.safetensors",
    output:
        predictions=f"{layout.TEST_RUN}/predictions.parquet",
    log:
        "logs/predict_test/{study}/{model}/{task}/{arm}/seed{seed}.log",


use rule evaluate as evaluate_test with:
    input:
        predictions=f"{layout.TEST_RUN}/predictions.parquet",
        layers=f"{layout.RUN}/layers.json",
        manifest=f"{layout.RUN}/manifest.json",
        task=task_file,
        thresholds=thresholds,
    output:
        metrics=f"{layout.TEST_RUN}/metrics.json",
        resamples=f"{layout.TEST_RUN}/resamples.npy",
    log:
        "logs/evaluate_test/{study}/{model}/{task}/{arm}/seed{seed}.log",


# By the full model alone, whose thresholds all runs of its seed are scored by.
use rule predict as predict_calibration with:
    input:
        weights=f"{layout.BASELINE_RUN}/model.safetensors",
        config=f"{layout.BASELINE_RUN}/config.json",
        layers=f"{layout.BASELINE_RUN}/layers.json",
        tokens=calibration_tokens,
    output:
        predictions=f"{layout.CALIBRATION_RUN}/predictions.parquet",
    log:
        "logs/predict_calibration/{study}/{model}/{task}/seed{seed}.log",


rule tune_thresholds:
    input:
        predictions=f"{layout.CALIBRATION_RUN}/predictions.parquet",
        task=task_file,
    output:
        thresholds=layout.THRESHOLDS,
    log:
        "logs/tune_thresholds/{study}/{model}/{task}/seed{seed}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("tune_thresholds"),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --task {input.task:q} --output {output.thresholds:q}"
        " 2>&1 | tee {log:q}"


rule compare:
    input:
        unpack(predictions_to_compare),
    output:
        comparison=f"{layout.ARM}/comparison.json",
    log:
        "logs/compare/{study}/{model}/{task}/{arm}.log",
    wildcard_constraints:
        arm=rf"({ORIGIN})/[^/]+",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("compare_runs"),
        seeds=lambda wildcards: [run.seed for run in ARMS[wildcards.model, wildcards.task, wildcards.arm]],
        identity=lambda wildcards: as_json(identity(wildcards)),
        settings=lambda wildcards: as_json(study.compare_settings(wildcards.task)),
    shell:
        "python {params.script:q} --predictions {input.predictions:q} --baseline-predictions {input.baseline:q}"
        " --seeds {params.seeds} --task {input.task:q} --identity {params.identity:q} --settings {params.settings:q}"
        " --output {output.comparison:q} 2>&1 | tee {log:q}"
