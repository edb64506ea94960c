"""What each step loads when it starts: a package that a step does not need costs every one of its jobs seconds."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from measure_start_up import HEAVY, SCRIPTS, Start, as_csv, loaded_packages, log_times, summary
from shallower.core.code_digest import PACKAGE

LIBRARY = SCRIPTS.parent

# What importing a step's code asks for itself, but for numpy; what these packages load in turn is their affair.
IMPORTED = {
    "aggregate_results": "datasets pandas pyarrow",
    "augment_tokens": "transformers",
    "check_delivered": "",
    "check_hub": "pyarrow pydantic",
    "check_parameter_orders": "pandas",
    "choose_candidates": "pyarrow",
    "choose_layers": "",
    "collect_scores": "",
    "collect_states": "pandas pyarrow",
    "compare_runs": "pyarrow scipy",
    "compare_states": "torch transformers",
    "compare_texts": "pyarrow",
    "deliver_model": "pandas pyarrow",
    "download_calibration": "pyarrow",
    "download_model": "",
    "download_task": "pyarrow",
    "download_test": "pyarrow",
    "download_unlabelled": "pyarrow",
    "drop_layers": "",
    "evaluate_predictions": "pyarrow scipy",
    "evaluate_variants": "pyarrow scipy",
    "export_onnx": "torch transformers",
    "finetune": "torch",
    "judge_observations": "pandas pyarrow scipy",
    "judge_strategies": "pandas pyarrow scipy",
    "measure_cost": "torch transformers",
    "measure_serving": "pyarrow",
    "plan_runs": "",
    "plot_depths": "matplotlib pandas",
    "plot_reproduction": "matplotlib pandas",
    "plot_results": "matplotlib pandas",
    "plot_subsets": "matplotlib pandas",
    "plot_variants": "altair matplotlib pandas pyarrow scipy",
    "predict": "pyarrow torch",
    "predict_variants": "pyarrow torch",
    "present_oracle": "matplotlib pandas",
    "present_reproduction": "pandas",
    "probe_layers": "pyarrow sklearn torch transformers",
    "propose_study": "pyarrow pydantic",
    "publish_study": "",
    "quantise_onnx": "",
    "recommend_models": "pandas pyarrow scipy",
    "record_study": "",
    "reload_models": "pyarrow torch transformers",
    "render_item": "pandas",
    "reproduce_item": "pandas pyarrow scipy",
    "race_subsets": "pandas torch",
    "score_gradients": "torch",
    "teach": "torch",
    "score_layers": "torch transformers",
    "score_parameters": "",
    "score_subsets": "pandas scipy torch transformers",
    "show_status": "pyarrow",
    "tabulate_results": "pandas pyarrow scipy",
    "tabulate_variants": "pandas pyarrow scipy",
    "tokenize_task": "pyarrow transformers",
    "trim_models": "",
    "trim_vocabulary": "",
    "tune_thresholds": "pyarrow",
    "upload_delivered": "",
    "verify_study": "",
    "write_report": "pandas pyarrow scipy",
    "write_study": "",
}
# Steps of which there are many, and what they have loaded in the end.
LOADED = {
    "choose_layers": "",
    "collect_scores": "",
    "compare_runs": "scipy pyarrow numpy",
    "drop_layers": "",
    "evaluate_predictions": "scipy pyarrow numpy",
    "plan_runs": "",
    "score_parameters": "numpy",
}


def test_each_step_imports_exactly_the_large_packages_that_it_needs():
    found = {
        script.stem: " ".join(sorted(imported(script) & set(HEAVY) - {"numpy"})) for script in SCRIPTS.glob("*.py")
    }
    assert found == IMPORTED


@pytest.mark.parametrize("step", LOADED)
def test_what_a_frequent_step_has_loaded_when_it_starts(step):
    assert loaded_packages(SCRIPTS / f"{step}.py") == LOADED[step].split()


def test_reading_a_study_loads_no_client_of_the_hub():
    """Each start of Snakemake reads the study, as do all processes of cluster jobs."""
    program = "import sys; import shallower.study.resolve; print('huggingface_hub.hf_api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=LIBRARY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def imported(script: Path) -> set[str]:
    """Packages that importing a script imports, itself and through the library, but for imports inside functions."""
    seen, waiting, packages = set(), [script], set()
    while waiting:
        for name in module_level_imports(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            packages.add(name.partition(".")[0])
            file = LIBRARY.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith(f"{PACKAGE}.") and file not in seen and file.is_file():
                seen.add(file)
                waiting.append(file)
    return packages


def module_level_imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names that running a module imports, those taken `from` a module included."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        match waiting.pop():
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield from (module, *(f"{module}.{alias.name}" for alias in names))
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pass
            case ast.If() | ast.Try() | ast.With() as block:
                waiting += [statement for statement in ast.iter_child_nodes(block) if isinstance(statement, ast.stmt)]


def test_imports_inside_functions_and_for_types_do_not_count():
    source = (
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\nif True:\n    import f\n"
        "try:\n    import g\nfinally:\n    import h\ndef function():\n    import i\n"
    )
    assert set(module_level_imports(ast.parse(source))) == {"a.b", "c", "c.d", "f", "g", "h"}


def test_a_row_of_the_benchmark_is_a_median_with_its_range():
    row = summary("step", [Start(1.0, 0.5), Start(3.0, 0.7), Start(1.5, 0.6)], ["numpy"])
    assert (row["seconds"], row["lowest"], row["highest"], row["cpu_seconds"]) == (1.5, 1.0, 3.0, 0.6)
    assert as_csv([row]) == "step,seconds,lowest,highest,cpu_seconds,starts,packages\nstep,1.5,1.0,3.0,0.6,3,numpy\n"


def test_log_lines_are_printed_as_they_come_and_the_end_with_its_status():
    program = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    times, lines = zip(*log_times([sys.executable, "-c", program]), strict=True)
    assert lines == ("one", "two", "ended with 3")
    assert list(times) == sorted(times)
