import os
from pathlib import Path

import pytest

from shallower.code_files import code_digest, code_files

LIBRARY = Path(__file__).parents[2] / "workflow"


def names(script: str) -> set[str]:
    return {path.name for path in code_files(LIBRARY / "scripts" / script, LIBRARY)[1:]}


def test_the_script_comes_first_and_imports_are_followed(tmp_path: Path):
    package = tmp_path / "shallower"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "direct.py").write_text("from shallower.indirect import x\nimport json\n")
    (package / "indirect.py").write_text("import shallower.direct\n")  # a circle ends
    (package / "unrelated.py").write_text("")
    (package / "late.py").write_text("")
    script = tmp_path / "step.py"
    script.write_text("from shallower import direct\ndef f():\n    import shallower.late\n")
    found = code_files(script, tmp_path)
    assert found[0] == script
    assert {path.name for path in found[1:]} == {"__init__.py", "direct.py", "indirect.py", "late.py"}


def test_the_digest_is_of_names_and_contents_not_of_times_or_places(tmp_path: Path):
    def digest(folder: str, name: str, text: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        file = tmp_path / folder / name
        file.write_text(text)
        os.utime(file, (0, len(folder)))
        return code_digest([file], tmp_path / folder)

    assert digest("here", "a.py", "x = 1\n") == digest("there", "a.py", "x = 1\n")
    assert digest("here", "a.py", "x = 1\n") != digest("here", "a.py", "x = 2\n")
    assert digest("here", "a.py", "x = 1\n") != digest("here", "b.py", "x = 1\n")


def test_steps_depend_on_little():
    assert "training.py" in names("finetune.py")
    assert "training.py" not in names("predict.py")
    assert "metrics.py" in names("evaluate_predictions.py")
    assert "figures.py" in names("plot_results.py")
    assert "figures.py" not in names("tabulate_results.py")


@pytest.mark.parametrize(
    "script",
    [
        "choose_layers",
        "drop_layers",
        "evaluate_predictions",
        "compare_runs",
        "aggregate_results",
        "plan_runs",
        "tabulate_results",
        "plot_results",
    ],
)
def test_light_steps_never_import_torch(script: str):
    for path in code_files(LIBRARY / "scripts" / f"{script}.py", LIBRARY):
        text = path.read_text()
        assert "import torch" not in text, path
        assert "from transformers" not in text and "import transformers" not in text, path


def test_the_library_never_imports_snakemake():
    for path in (LIBRARY / "shallower").glob("*.py"):
        text = path.read_text()
        assert "import snakemake" not in text and "from snakemake" not in text, path
