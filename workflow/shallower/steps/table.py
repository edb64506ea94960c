"""The steps of the workflow: for each script its environment, rules, outputs, memory and time.

Rules state environment and outputs themselves, as Snakemake wants them; a test holds both against this table. The
resources that rules request, the names that a study must not use and docs/cluster.md are made from it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from shallower.core.layout import (
    ARM,
    AUGMENTED_TOKENS,
    BASELINE_RUN,
    CALIBRATION_DATA,
    DELIVERED,
    MODEL,
    MODEL_RESULTS,
    PROVENANCE_PAGE,
    RUN,
    STUDY,
    TASK,
    TASK_RESULTS,
    TEST_DATA,
    TOKENS,
    TRIMMED,
    UNLABELLED_DATA,
    VARIANTS,
)
from shallower.models.folder import CONFIG, TOKENIZER_FILES, WEIGHTS
from shallower.steps import memory, runtime
from shallower.steps.job import Job
from shallower.surgery.strategies import STRATEGIES

CHECKPOINT = (WEIGHTS, CONFIG)


@dataclass(frozen=True)
class Step:
    """A script of the workflow.

    Attributes:
        script: its name, without the suffix.
        environment: name of its file in envs/.
        rules: the rules that run it.
        folder: pattern of the folder of its outputs.
        outputs: patterns of its outputs in that folder.
        is_job: whether a cluster runs it as a job; otherwise it takes seconds and runs on the login node.
        is_parallel: whether it uses `compute.threads` CPU threads.
        uses_gpu: whether it uses a GPU if the study does.
        memory: MB (10^6 bytes) that a job needs; None where the profile's default is enough.
        seconds: computing time of a job; None where the profile's default is enough.
    """

    script: str
    environment: str
    rules: tuple[str, ...] = ()
    folder: str = STUDY
    outputs: tuple[str, ...] = ()
    is_job: bool = False
    is_parallel: bool = False
    uses_gpu: bool = False
    memory: Callable[[Job], int] | None = None
    seconds: Callable[[Job], float] | None = None

    def mem_mb(self, job: Job) -> int:
        """MB (10^6 bytes) to request for a job. Raises ValueError for a step without a formula."""
        if self.memory is None:
            raise ValueError(f"no formula for the memory of {self.script}")
        return self.memory(self._placed(job))

    def runtime(self, job: Job) -> int:
        """Minutes to request for a job. Raises ValueError for a step without a formula."""
        if self.seconds is None:
            raise ValueError(f"no formula for the time of {self.script}")
        return runtime.minutes(self.seconds(self._placed(job)))

    def _placed(self, job: Job) -> Job:
        """The job on the CPU if the step uses no GPU, wherever the study computes."""
        return replace(job, on_gpu=job.on_gpu and self.uses_gpu)


def _model_step(
    script: str,
    rules: tuple[str, ...],
    folder: str,
    outputs: tuple[str, ...],
    mem: Callable[[Job], int],
    seconds: Callable[[Job], float],
    uses_gpu: bool = True,
) -> Step:
    """A job that computes with a model."""
    return Step(script, "torch", rules, folder, outputs, True, True, uses_gpu, mem, seconds)


def _variants_step(
    script: str,
    output: str,
    mem: Callable[[Job], int],
    seconds: Callable[[Job], float],
    is_parallel: bool = False,
) -> Step:
    """A job on the candidates of a model and task, in ONNX."""
    return Step(script, "onnx", (script,), VARIANTS, (output,), True, is_parallel, False, mem, seconds)


# Memory and time of the scripts that run a model to score layers, where these are not those of a forward pass.
SCORING = {
    "score_subsets": (memory.subset_scoring, runtime.subset_scoring),
    "score_gradients": (memory.gradient_scoring, runtime.gradient_scoring),
    "race_subsets": (memory.training, runtime.racing),
}


def _scoring_steps() -> Iterator[Step]:
    """The steps that compute the layer scores of the registered strategies."""
    scores = {strategy.score.script: strategy.score for strategy in STRATEGIES.values() if strategy.score}
    for script, score in scores.items():
        folder, name = (RUN, "race") if score.of_runs else (TASK_RESULTS, "scores/{method}/{scored}")
        files = (f"{name}.json", f"{name}.csv") if score.of_subsets else (f"{name}.json",)
        if score.runs_model:
            formulas = SCORING.get(script, (memory.inference, runtime.inference))
            yield _model_step(script, (script,), folder, files, *formulas)
        else:
            yield Step(script, "report", (script,), folder, files)


def _study_step(script: str, rule: str, *outputs: str) -> Step:
    """A step that gathers a study's results, once or once per model and task."""
    return Step(script, "report", (rule,), STUDY, outputs)


STEPS: dict[str, Step] = {
    step.script: step
    for step in (
        # Inputs.
        Step(
            "download_model",
            "download",
            rules=("download_model",),
            folder=MODEL,
            outputs=(*CHECKPOINT, *TOKENIZER_FILES, "manifest.json"),
        ),
        Step(
            "download_task",
            "download",
            rules=("download_task",),
            folder=TASK,
            outputs=("train.parquet", "validation.parquet", "task.json", "manifest.json"),
        ),
        Step(
            "download_calibration",
            "download",
            rules=("download_calibration",),
            folder=CALIBRATION_DATA,
            outputs=("calibration.parquet", "manifest.json"),
        ),
        Step(
            "download_test",
            "download",
            rules=("download_test",),
            folder=TEST_DATA,
            outputs=("test.parquet", "manifest.json"),
        ),
        Step(
            "download_unlabelled",
            "download",
            rules=("download_unlabelled",),
            folder=UNLABELLED_DATA,
            outputs=("unlabelled.parquet", "manifest.json"),
        ),
        Step(
            "tokenize_task",
            "torch",
            rules=(
                "tokenize_task",
                "tokenize_calibration",
                "tokenize_unlabelled",
                "tokenize_test",
                "tokenize_trimmed",
                "tokenize_trimmed_test",
            ),
            folder=TOKENS,
            outputs=("{split}.safetensors", "texts.json"),
            is_job=True,
            memory=memory.tokenizing,
        ),
        Step(
            "augment_tokens",
            "torch",
            rules=("augment_tokens",),
            folder=AUGMENTED_TOKENS,
            outputs=("augmented.safetensors",),
            is_job=True,
            memory=memory.augmenting,
        ),
        # Models.
        _model_step(
            "finetune",
            rules=("finetune_baseline", "finetune_frozen", "finetune_stage", "refine"),
            folder=RUN,
            outputs=(*CHECKPOINT, *TOKENIZER_FILES, "training.jsonl", "manifest.json"),
            mem=memory.training,
            seconds=runtime.training,
        ),
        _model_step("teach", ("teach",), BASELINE_RUN, ("teacher.safetensors",), memory.teaching, runtime.teaching),
        *_scoring_steps(),
        Step(
            "choose_layers",
            "report",
            rules=("choose_layers_of_baseline", "choose_layers"),
            folder=RUN,
            outputs=("layers.json",),
        ),
        Step(
            "drop_layers",
            "report",
            rules=("drop_layers", "drop_next_layer"),
            folder=f"{RUN}/dropped",
            outputs=(*CHECKPOINT, "manifest.json"),
            is_job=True,
            memory=memory.surgery,
        ),
        # Evaluation.
        _model_step(
            "predict",
            rules=("predict", "predict_test", "predict_calibration"),
            folder=RUN,
            outputs=("predictions.parquet",),
            mem=memory.inference,
            seconds=runtime.inference,
        ),
        Step(
            "evaluate_predictions",
            "report",
            rules=("evaluate", "evaluate_test"),
            folder=RUN,
            outputs=("metrics.json", "resamples.npy"),
            is_job=True,
            memory=memory.scoring,
        ),
        Step("tune_thresholds", "report", ("tune_thresholds",), BASELINE_RUN, ("thresholds.json",)),
        Step("compare_runs", "report", ("compare",), ARM, ("comparison.json",)),
        _model_step(
            "reload_models",
            rules=("reload_models", "reload_model"),
            folder=TASK_RESULTS,
            outputs=("reloaded.csv",),
            mem=memory.inference,
            seconds=runtime.reloading,
            uses_gpu=False,
        ),
        _model_step("measure_cost", ("measure_cost",), MODEL_RESULTS, ("cost.json",), memory.timing, runtime.timing),
        _model_step("probe_layers", ("probe_layers",), RUN, ("probes.parquet",), memory.probing, runtime.probing),
        _model_step(
            "compare_states", ("compare_states",), RUN, ("similarity.json",), memory.comparison, runtime.comparison
        ),
        # Models in the forms in which they are delivered.
        Step("choose_candidates", "report", ("choose_candidates",), VARIANTS, ("candidates.json",)),
        Step(
            *("trim_vocabulary", "report", ("trim_vocabulary",)),
            *(TRIMMED, (CONFIG, *TOKENIZER_FILES, "vocabulary.json")),
        ),
        Step("trim_models", "report", ("trim_models",), VARIANTS, ("trimmed.json",), True, memory=memory.surgery),
        _variants_step(
            "export_onnx", "exported-{vocabulary}.json", memory.exporting, runtime.exporting, is_parallel=True
        ),
        _variants_step("quantise_onnx", "quantised-{vocabulary}.json", memory.quantising, runtime.quantising),
        replace(
            _variants_step(
                "predict_variants", "predicted.json", memory.inference, runtime.predicting_variants, is_parallel=True
            ),
            rules=("predict_variants", "predict_test_variants"),
            outputs=("predicted.json", "test-predicted.json"),
        ),
        Step(
            "evaluate_variants",
            "report",
            rules=("evaluate_variants", "evaluate_test_variants"),
            folder=VARIANTS,
            outputs=("evaluated.json", "test-evaluated.json"),
            is_job=True,
            memory=memory.scoring,
        ),
        replace(
            _variants_step("measure_serving", "serving.json", memory.serving, runtime.serving, is_parallel=True),
            uses_gpu=True,
        ),
        Step(
            "deliver_model",
            "onnx",
            rules=("deliver_model",),
            folder=DELIVERED,
            outputs=("manifest.json",),
            is_job=True,
            memory=memory.delivering,
            seconds=runtime.delivering,
        ),
        # Tables, figures and pages.
        _study_step("write_study", "write_study", "study.json"),
        _study_step("plan_runs", "plan_runs", "runs.csv", "missing.csv"),
        Step(
            "aggregate_results",
            "report",
            rules=("aggregate", "aggregate_test"),
            outputs=("results.csv", "resamples.parquet", "test-results.csv", "test-resamples.parquet"),
        ),
        _study_step("compare_texts", "compare_texts", "test-texts.json"),
        _study_step(
            "tabulate_results",
            "tabulate",
            "tables/answer.html",
            "tables/summary.csv",
            "tables/summary.html",
            "tables/droppable.csv",
        ),
        _study_step(
            "plot_results",
            "plot",
            "figures/{model}/{task}/score-by-layers.png",
            "figures/{model}/{task}/score-by-layers.svg",
            "figures/{model}/{task}/score-by-cost.png",
            "figures/{model}/{task}/score-by-cost.svg",
        ),
        # For studies with a budget, and for models and tasks whose subsets of layers are scored.
        _study_step("recommend_models", "recommend", "recommended.csv"),
        _study_step(
            "plot_depths",
            "plot_depths",
            "figures/{model}/{task}/score-by-depth.png",
            "figures/{model}/{task}/score-by-depth.svg",
        ),
        _study_step(
            "plot_subsets",
            "plot_subsets",
            "figures/{model}/{task}/layers-of-best-subsets.png",
            "figures/{model}/{task}/layers-of-best-subsets.svg",
        ),
        # For studies that deliver models.
        _study_step("tabulate_variants", "tabulate_variants", "variants.csv"),
        _study_step(
            "plot_variants",
            "plot_variants",
            "figures/{model}/{task}/score-by-variant.png",
            "figures/{model}/{task}/score-by-variant.svg",
            "figures/{model}/{task}/score-by-variant.json",
        ),
        _study_step("collect_states", "collect_states", "states.csv"),
        _study_step("collect_scores", "collect_scores", "scores.csv"),
        _study_step("reproduce_item", "reproduce", "paper/{item}.csv"),
        _study_step("render_item", "render_item", "paper/{item}.html"),
        _study_step("plot_reproduction", "plot_reproduction", "paper/{item}.png", "paper/{item}.svg"),
        _study_step("judge_observations", "judge_observations", "paper/observations.csv", "paper/observations.html"),
        _study_step(
            "check_parameter_orders",
            "check_parameter_orders",
            "paper/parameter-orders.csv",
            "paper/parameter-orders.html",
        ),
        _study_step("present_reproduction", "present_reproduction", "paper/section.json"),
        _study_step(
            "judge_strategies",
            "judge_strategies",
            "oracle/subsets.csv",
            "oracle/best.csv",
            "oracle/regret.csv",
            "oracle/strategies.csv",
            "oracle/correlations.csv",
            "oracle/shortlists.csv",
            "oracle/coverage.csv",
        ),
        _study_step(
            "present_oracle",
            "present_oracle",
            "oracle/oracle.html",
            "oracle/section.json",
            "oracle/regret.png",
            "oracle/regret.svg",
            "oracle/score-by-readout.png",
            "oracle/score-by-readout.svg",
        ),
        _study_step("write_report", "write_report", "report.html"),
        _study_step("record_study", "record_study", "provenance.json", "SHA256SUMS"),
        # Run by make: study, status, check-hub, verify, check-delivered and publish.
        Step("propose_study", "download"),
        Step("show_status", "download"),
        Step("check_hub", "download"),
        Step("verify_study", "report"),
        Step("check_delivered", "report"),
        Step("publish_study", "report"),
        Step("upload_delivered", "download"),
    )
}


# The rules that only gather and show results, and deliver what these lead to; not the record of a complete study.
RULES_OF_TABLES = tuple(
    rule
    for step in STEPS.values()
    for rule in step.rules
    if (step.folder == STUDY and step.script != "record_study") or step.script in ("compare_runs", "deliver_model")
)


def _names_in(folder: str) -> frozenset[str]:
    """Names of files and folders that steps make in a folder, in lower case; without those that a study chooses."""
    outputs = (PurePosixPath(step.folder, output) for step in STEPS.values() for output in step.outputs)
    inside = (output.relative_to(folder).parts[0].lower() for output in outputs if output.is_relative_to(folder))
    return frozenset(name for name in inside if not name.startswith("{"))


# Names in results/{study}/ that no model may have, and in results/{study}/{model}/ that no task may have.
RESERVED_MODEL_NAMES = _names_in(STUDY) | {PROVENANCE_PAGE}
RESERVED_TASK_NAMES = _names_in(MODEL_RESULTS)
