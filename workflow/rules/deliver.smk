# The recommended models in the forms in which they run. At each depth the best arm is tried in every form, with its full
# or a trimmed vocabulary, by torch or by ONNX Runtime; the study recommends one, which is delivered.
#
# Needs: study, RUNS, code(), run_files(), tokens(), the fine-tuned models and their scores; recommended.csv.
# Gives: results/{study}/{model}/{task}/variants/: models in every form, what they score and cost; variants.csv;
# results/{study}/delivered/{model}/{task}: the recommended models.


rule choose_candidates:
    input:
        metrics=run_files("metrics.json"),
        manifests=run_files("manifest.json"),
    output:
        candidates=f"{layout.VARIANTS}/candidates.json",
    log:
        "logs/choose_candidates/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("choose_candidates"),
        runs=lambda wildcards: [run.directory for run in RUNS[wildcards.model, wildcards.task]],
    shell:
        "python {params.script:q} --runs {params.runs:q} --output {output.candidates:q} 2>&1 | tee {log:q}"


rule trim_vocabulary:
    input:
        config=f"{layout.MODEL}/config.json",
        tokenizer=f"{layout.MODEL}/tokenizer.json",
        tokenizer_config=f"{layout.MODEL}/tokenizer_config.json",
        tokens=f"{layout.TOKENS}/train.safetensors",
    output:
        config=f"{layout.TRIMMED}/config.json",
        tokenizer=f"{layout.TRIMMED}/tokenizer.json",
        tokenizer_config=f"{layout.TRIMMED}/tokenizer_config.json",
        vocabulary=f"{layout.TRIMMED}/vocabulary.json",
    log:
        "logs/trim_vocabulary/{model_key}/{task_key}/length{max_length}-trimmed{minimum_count}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("trim_vocabulary"),
        model_folder=subpath(input.config, parent=True),
        folder=subpath(output.config, parent=True),
    shell:
        "python {params.script:q} --model-dir {params.model_folder:q} --train-tokens {input.tokens:q}"
        " --minimum-count {wildcards.minimum_count} --output-dir {params.folder:q} 2>&1 | tee {log:q}"


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
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-trimmed{minimum_count}.log",
    benchmark:
        "logs/tokenize_task/{model_key}/{task_key}/length{max_length}-trimmed{minimum_count}.benchmark.tsv"
    params:
        splits=["validation"],
        folder=subpath(output.validation, parent=True),


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
        runtime=minutes("trim_models"),
    params:
        **code("trim_models"),
        vocabulary_folder=subpath(input.vocabulary, parent=True),
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --vocabulary-dir {params.vocabulary_folder:q}"
        " --output {output.trimmed:q} 2>&1 | tee {log:q}"


rule export_onnx:
    input:
        unpack(trimmed_models),
        candidates=f"{layout.VARIANTS}/candidates.json",
    output:
        exported=f"{layout.VARIANTS}/exported.json",
    log:
        "logs/export_onnx/{study}/{model}/{task}.log",
    benchmark:
        "logs/export_onnx/{study}/{model}/{task}.benchmark.tsv"
    conda:
        "../../envs/onnx.yaml"
    resources:
        mem_mb=memory("export_onnx"),
        runtime=minutes("export_onnx"),
    params:
        **code("export_onnx"),
        options=trimmed_options,
    shell:
        "python {params.script:q} --candidates {input.candidates:q} {params.options:q} --output {output.exported:q}"
        " 2>&1 | tee {log:q}"


rule quantise_onnx:
    input:
        exported=f"{layout.VARIANTS}/exported.json",
    output:
        quantised=f"{layout.VARIANTS}/quantised.json",
    log:
        "logs/quantise_onnx/{study}/{model}/{task}.log",
    benchmark:
        "logs/quantise_onnx/{study}/{model}/{task}.benchmark.tsv"
    conda:
        "../../envs/onnx.yaml"
    resources:
        mem_mb=memory("quantise_onnx"),
        runtime=minutes("quantise_onnx"),
    params:
        **code("quantise_onnx"),
        exclude=[part for name in DELIVER.get("exclude_operators", []) for part in ("--exclude", name)],
    shell:
        "python {params.script:q} --exported {input.exported:q} {params.exclude:q} --output {output.quantised:q}"
        " 2>&1 | tee {log:q}"


rule predict_variants:
    input:
        unpack(variant_models),
        candidates=f"{layout.VARIANTS}/candidates.json",
        tokens=tokens("validation"),
    output:
        predicted=f"{layout.VARIANTS}/predicted.json",
    log:
        "logs/predict_variants/{study}/{model}/{task}.log",
    benchmark:
        "logs/predict_variants/{study}/{model}/{task}.benchmark.tsv"
    conda:
        "../../envs/onnx.yaml"
    threads: THREADS
    resources:
        mem_mb=memory("predict_variants"),
        runtime=minutes("predict_variants"),
    params:
        **code("predict_variants"),
        # Not {threads}, which Snakemake lowers to --cores: results must not depend on it.
        threads=THREADS,
        options=variant_options,
    shell:
        "python {params.script:q} --candidates {input.candidates:q} {params.options:q} --tokens {input.tokens:q}"
        " --threads {params.threads} --output {output.predicted:q} 2>&1 | tee {log:q}"


rule evaluate_variants:
    input:
        candidates=f"{layout.VARIANTS}/candidates.json",
        predicted=f"{layout.VARIANTS}/predicted.json",
        task=task_file,
    output:
        results=f"{layout.VARIANTS}/results.csv",
        resamples=f"{layout.VARIANTS}/resamples.parquet",
    log:
        "logs/evaluate_variants/{study}/{model}/{task}.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        **code("evaluate_variants"),
        settings=lambda wildcards: as_json(study.evaluate_settings(wildcards.task)),
    shell:
        "python {params.script:q} --candidates {input.candidates:q} --predicted {input.predicted:q} --task {input.task:q}"
        " --settings {params.settings:q} --resamples {output.resamples:q} --output {output.results:q} 2>&1 | tee {log:q}"
