# The recommended models in the forms in which they run. At each depth the best arm is tried in every form, with its full
# or a trimmed vocabulary, by torch or by ONNX Runtime; the study recommends one, which is delivered.
#
# Needs: study, RUNS, code(), run_files(), tokens(), the fine-tuned models and their scores; recommended.csv.
# Gives: results/{study}/{model}/{task}/variants/: models in every form, what they score and cost; variants.csv;
# results/{study}/delivered/{model}/{task}: the recommended models.


rule choose_candidates:
    input:
        # Not metrics.json, which another bootstrap or level of intervals changes: exports do not depend on these.
        predictions=run_files("predictions.parquet"),
        layers=run_files("layers.json"),
        manifests=run_files("manifest.json"),
        task=task_file,
        # Found by the script through the runs.
        thresholds=thresholds,
        # In one order, so that another one in the study reruns nothing.
        runs=lambda wildcards: written_settings(
            "choose_candidates", sorted(map(vars, RUNS[wildcards.model, wildcards.task]), key=as_json)
        ),
    output:
        candidates=f"{layout.VARIANTS}/candidates.json",
    log:
        "logs/choose_candidates/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("choose_candidates"),
        settings=lambda wildcards: as_json(study.choice_settings(wildcards.task)),
    shell:
        "python {params.script:q} --runs {input.runs:q} --task {input.task:q} --settings {params.settings:q}"
        " --output {output.candidates:q} 2>&1 | tee {log:q}"


rule trim_vocabulary:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        tokens=trimming_tokens,
    output:
        config=f"{layout.TRIMMED}/config.json",
        tokenizer=f"{layout.TRIMMED}/tokenizer.json",
        tokenizer_config=f"{layout.TRIMMED}/tokenizer_config.json",
        vocabulary=f"{layout.TRIMMED}/vocabulary.json",
    log:
        "logs/trim_vocabulary/{model_key}/{task_key}/length{max_length}-trimmed{trimmed}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("trim_vocabulary"),
        model_folder=subpath(input.config, parent=True),
        folder=subpath(output.config, parent=True),
        minimum_count=lambda wildcards: wildcards.trimmed.partition("-")[0],
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --train-tokens {input.tokens:q}"
        " --minimum-count {params.minimum_count:q} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


use rule tokenize_task as tokenize_trimmed with:
    input:
        config=f"{layout.TRIMMED}/config.json",
        tokenizer=f"{layout.TRIMMED}/tokenizer.json",
        tokenizer_config=f"{layout.TRIMMED}/tokenizer_config.json",
        train=f"{layout.TASK}/train.parquet",
        validation=f"{layout.TASK}/validation.parquet",
    output:
        validation=f"{layout.TRIMMED}/validation.safetensors",
        texts=f"{layout.TRIMMED}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-trimmed{trimmed}.log",
    params:
        splits=["validation"],
        folder=subpath(output.validation, parent=True),


use rule tokenize_task as tokenize_trimmed_test with:
    input:
        config=f"{layout.TRIMMED}/config.json",
        tokenizer=f"{layout.TRIMMED}/tokenizer.json",
        tokenizer_config=f"{layout.TRIMMED}/tokenizer_config.json",
        test=f"{layout.TEST_DATA}/test.parquet",
    output:
        test=f"{layout.TRIMMED_TEST}/test.safetensors",
        texts=f"{layout.TRIMMED_TEST}/texts.json",
    log:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-trimmed{trimmed}-test-{test}.log",
    params:
        splits=["test"],
        task_folder=subpath(input.test, parent=True),
        folder=subpath(output.test, parent=True),


rule trim_models:
    input:
        candidates=f"{layout.VARIANTS}/candidates.json",
        vocabulary=trimmed_file("vocabulary.json"),
    output:
        trimmed=f"{layout.VARIANTS}/trimmed.json",
    log:
        "logs/trim_models/{study}/{model}/{task}.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory("trim_models"),
    params:
        **code("trim_models"),
        vocabulary_folder=subpath(input.vocabulary, parent=True),
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --vocabulary-dir {params.vocabulary_folder:q}"
        " --output {output.trimmed:q} 2>&1 | tee {log:q}"


rule export_onnx:
    input:
        # Found by the script through the candidates.
        trimmed=lambda wildcards: f"{layout.VARIANTS}/trimmed.json" if wildcards.vocabulary == TRIMMED else [],
        candidates=f"{layout.VARIANTS}/candidates.json",
    output:
        exported=f"{layout.VARIANTS}/exported-{{vocabulary}}.json",
    log:
        "logs/export_onnx/{study}/{model}/{task}-{vocabulary}.log",
    conda:
        "../../envs/onnx.yaml"
    threads: THREADS
    resources:
        mem_mb=memory("export_onnx"),
        runtime=minutes("export_onnx"),
    params:
        **code("export_onnx"),
        threads=THREADS,
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --vocabulary {wildcards.vocabulary:q}"
        " --threads {params.threads} --output {output.exported:q} 2>&1 | tee {log:q}"


rule quantise_onnx:
    input:
        candidates=f"{layout.VARIANTS}/candidates.json",
        # Found by the script through the candidates.
        exported=f"{layout.VARIANTS}/exported-{{vocabulary}}.json",
    output:
        quantised=f"{layout.VARIANTS}/quantised-{{vocabulary}}.json",
    log:
        "logs/quantise_onnx/{study}/{model}/{task}-{vocabulary}.log",
    conda:
        "../../envs/onnx.yaml"
    resources:
        mem_mb=memory("quantise_onnx"),
        runtime=minutes("quantise_onnx"),
    params:
        **code("quantise_onnx"),
        exclude=["--exclude", *sorted(DELIVER.get("exclude_operators", []))],
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --vocabulary {wildcards.vocabulary:q}"
        " {params.exclude:q} --output {output.quantised:q} 2>&1 | tee {log:q}"


# On the CPU in fp32, as models are delivered.
rule predict_variants:
    input:
        # Found by the script through the candidates.
        variant_records,
        candidates=f"{layout.VARIANTS}/candidates.json",
        task=task_file,
        tokens=tokens("validation"),
        trimmed=trimmed_tokens,
    output:
        predicted=f"{layout.VARIANTS}/predicted.json",
    log:
        "logs/predict_variants/{study}/{model}/{task}.log",
    conda:
        "../../envs/onnx.yaml"
    threads: THREADS
    resources:
        mem_mb=memory("predict_variants"),
        runtime=minutes("predict_variants"),
    params:
        **code("predict_variants"),
        split=layout.VALIDATION,
        runtimes=RUNTIMES,
        vocabularies=VOCABULARIES,
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --runtimes {params.runtimes:q}"
        " --vocabularies {params.vocabularies:q} --task {input.task:q} --split {params.split:q} --tokens {input.tokens:q}"
        " --trimmed-tokens {input.trimmed:q} --threads {params.threads} --output {output.predicted:q} 2>&1 | tee {log:q}"


# What is delivered is scored in the form in which it is delivered, on test examples too.
use rule predict_variants as predict_test_variants with:
    input:
        # Found by the script through the candidates.
        variant_records,
        candidates=f"{layout.VARIANTS}/candidates.json",
        task=task_file,
        # Those of the candidates as they were trained, which exports are compared with.
        trained=run_files(f"{layout.TEST}/predictions.parquet"),
        tokens=lambda wildcards: f"{test_tokens_folder(wildcards.model, wildcards.task)}/test.safetensors",
        trimmed=trimmed_test_tokens,
    output:
        predicted=f"{layout.VARIANTS}/test-predicted.json",
    log:
        "logs/predict_test_variants/{study}/{model}/{task}.log",
    params:
        split=layout.TEST,


rule evaluate_variants:
    input:
        candidates=f"{layout.VARIANTS}/candidates.json",
        # Found by the script through the candidates.
        predicted=f"{layout.VARIANTS}/predicted.json",
        task=task_file,
        thresholds=thresholds,
    output:
        evaluated=f"{layout.VARIANTS}/evaluated.json",
    log:
        "logs/evaluate_variants/{study}/{model}/{task}.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=memory("evaluate_variants"),
    params:
        **code("evaluate_variants"),
        split=layout.VALIDATION,
        runtimes=RUNTIMES,
        vocabularies=VOCABULARIES,
        settings=lambda wildcards: as_json(study.evaluate_settings(wildcards.task)),
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --runtimes {params.runtimes:q}"
        " --vocabularies {params.vocabularies:q} --task {input.task:q} --settings {params.settings:q}"
        " --split {params.split:q} --output {output.evaluated:q} 2>&1 | tee {log:q}"


use rule evaluate_variants as evaluate_test_variants with:
    input:
        candidates=f"{layout.VARIANTS}/candidates.json",
        # Found by the script through the candidates.
        predicted=f"{layout.VARIANTS}/test-predicted.json",
        task=task_file,
        thresholds=thresholds,
    output:
        evaluated=f"{layout.VARIANTS}/test-evaluated.json",
    log:
        "logs/evaluate_test_variants/{study}/{model}/{task}.log",
    params:
        split=layout.TEST,


rule measure_serving:
    input:
        # Found by the script through the candidates.
        variant_records,
        candidates=f"{layout.VARIANTS}/candidates.json",
        task=task_file,
        texts=lambda wildcards: f"{task_folder(wildcards)}/validation.parquet",
    output:
        serving=f"{layout.VARIANTS}/serving.json",
    log:
        "logs/measure_serving/{study}/{model}/{task}.log",
    conda:
        "../../envs/onnx.yaml"
    threads: every_core
    resources:
        gpu=GPUS,
        mem_mb=memory("measure_serving"),
        runtime=minutes("measure_serving"),
    params:
        **code("measure_serving"),
        runtimes=RUNTIMES,
        vocabularies=VOCABULARIES,
        settings=lambda wildcards: as_options(
            max_length=study.max_length(wildcards.task),
            threads=as_json(sorted({1, THREADS})),
            batch_sizes=as_json(study.config["measure"]["batch_sizes"]),
            repeats=study.config["measure"]["repeats"],
            texts_measured=study.config["measure"]["texts"],
        ),
        device=study.config["compute"]["device"],
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --runtimes {params.runtimes:q}"
        " --vocabularies {params.vocabularies:q} --texts {input.texts:q} --task {input.task:q}"
        " {params.settings:q} --device {params.device} --output {output.serving:q} 2>&1 | tee {log:q}"


rule tabulate_variants:
    input:
        results=f"{layout.STUDY}/results.csv",
        resamples=f"{layout.STUDY}/resamples.parquet",
        evaluated=of_delivered(f"{layout.VARIANTS}/evaluated.json"),
        test=test_results(layout.TEST_RESULTS, layout.TEST_RESAMPLES),
        tested=of_tested("test-evaluated.json"),
        serving=of_delivered(f"{layout.VARIANTS}/serving.json"),
    output:
        variants=report(
            layout.VARIANTS_TABLE,
            category="Tables",
            caption="../report/variants.rst",
            labels={"table": "variants: score, time and size"},
        ),
    log:
        "logs/tabulate_variants/{study}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("tabulate_variants"),
        confidence=study.config["evaluate"]["confidence"],
    shell:
        "python {params.script:q} --results {input.results:q} --resamples {input.resamples:q}"
        " --evaluated {input.evaluated:q} --test {input.test:q} --tested {input.tested:q} --serving {input.serving:q}"
        " --confidence {params.confidence} --output {output.variants:q} 2>&1 | tee {log:q}"


rule plot_variants:
    input:
        variants=layout.VARIANTS_TABLE,
        recommended=layout.RECOMMENDED,
    output:
        png=report(
            f"{layout.FIGURES}/score-by-variant.png",
            category="Figures",
            subcategory="{task}",
            caption="../report/score-by-variant.rst",
            labels={"figure": "score by time and size of variants", "model": "{model}"},
        ),
        svg=f"{layout.FIGURES}/score-by-variant.svg",
        charts=f"{layout.FIGURES}/score-by-variant.json",
    log:
        "logs/plot_variants/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("plot_variants"),
        budget=as_json(study.config["budget"]),
        folder=subpath(output.png, parent=True),
    shell:
        "python {params.script:q} --variants {input.variants:q} --recommended {input.recommended:q}"
        " --model {wildcards.model:q} --task {wildcards.task:q} --budget {params.budget:q} --output-dir {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule deliver_model:
    input:
        recommended=layout.RECOMMENDED,
        variants=layout.VARIANTS_TABLE,
        candidates=f"{layout.VARIANTS}/candidates.json",
        serving=f"{layout.VARIANTS}/serving.json",
        tokens=tokens("validation"),
        trimmed=trimmed_tokens,
        model=lambda wildcards: f"{model_folder(wildcards)}/manifest.json",
        task=lambda wildcards: f"{task_folder(wildcards)}/manifest.json",
    output:
        manifest=f"{layout.DELIVERED}/manifest.json",
    log:
        "logs/deliver_model/{study}/{model}/{task}.log",
    conda:
        "../../envs/onnx.yaml"
    resources:
        mem_mb=memory("deliver_model"),
        runtime=minutes("deliver_model"),
    params:
        **code("deliver_model"),
        model_folder=subpath(input.model, parent=True),
        task_folder=subpath(input.task, parent=True),
        score_kept=[
            part
            for value in [(study.config["budget"] or {}).get("score_kept")]
            if value
            for part in ("--score-kept", value)
        ],
    shell:
        "python {params.script:q} --recommended {input.recommended:q} --variants {input.variants:q}"
        " --model {wildcards.model:q} --task {wildcards.task:q} --candidates {input.candidates:q}"
        " --serving {input.serving:q} --model-dir {params.model_folder:q} --task-dir {params.task_folder:q}"
        " --tokens {input.tokens:q} --trimmed-tokens {input.trimmed:q} {params.score_kept:q} --output {output.manifest:q}"
        " 2>&1 | tee {log:q}"
