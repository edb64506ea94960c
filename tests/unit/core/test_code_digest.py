import os
from pathlib import Path

import pytest

from shallower.core.code_digest import code_digest, code_files

LIBRARY = Path(__file__).parents[3] / "workflow"


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
    assert digest("here", "a.py", "x = 1\n") != digest("another", "a.py", "x = 2\n")
    assert digest("here", "a.py", "x = 1\n") != digest("here", "b.py", "x = 1\n")


def test_steps_depend_on_little():
    assert "training.py" in names("finetune.py")
    assert "training.py" not in names("predict.py")
    assert "metrics.py" in names("evaluate_predictions.py")
    assert "figures.py" in names("plot_results.py")
    assert "figures.py" not in names("tabulate_results.py")


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1\n", "x = 1  # said differently\n", True),
        ('"""Old."""\nx = 1\n', '"""New."""\nx = 1\n', True),
        ('def f():\n    """Old."""\n    return 1\n', "def f():\n    return 1\n", True),
        ('class A:\n    """Old."""\n    x = 1\n', 'class A:\n    """New."""\n\n    x = 1\n', True),
        ("f(a, b)\n", "f(\n    a,\n    b,\n)\n", True),
        ("x = 1\n", "x = 2\n", False),
        ("x = 1\n", "x = 1.0\n", False),
        ("x = '1'\n", "x = b'1'\n", False),
        ("message = 'old'\n", "message = 'new'\n", False),
        ("f('first'); 'not a docstring'\n", "f('first'); 'another'\n", False),
        ("def f(a): pass\n", "def f(b): pass\n", False),
        ("x = f'{a}'\n", "x = f'{a!r}'\n", False),
    ],
)
def test_prose_and_format_do_not_count_and_code_does(tmp_path: Path, before: str, after: str, same: bool):
    digests = []
    for folder, text in (("before", before), ("after", after)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text(text)
        digests.append(code_digest([tmp_path / folder / "a.py"], tmp_path / folder))
    assert (digests[0] == digests[1]) is same


def test_templates_that_a_step_uses_count(tmp_path: Path):
    for folder in ("shallower/reporting", "templates"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shallower" / "reporting" / "page.py").write_text("def f():\n    render('page.jinja')\n")
    (tmp_path / "templates" / "page.jinja").write_text("{% include 'part.jinja' %}")
    (tmp_path / "templates" / "part.jinja").write_text("{% include 'page.css' %}")
    (tmp_path / "templates" / "page.css").write_text("p {}")
    (tmp_path / "templates" / "other.jinja").write_text("")
    script = tmp_path / "step.py"
    script.write_text("from shallower.reporting import page\n")
    found = code_files(script, tmp_path)
    assert {path.name for path in found} == {"step.py", "page.py", "page.jinja", "part.jinja", "page.css"}


def test_relative_imports_are_followed(tmp_path: Path):
    package = tmp_path / "shallower" / "inner"
    package.mkdir(parents=True)
    for name in ("__init__.py", "near.py", "../__init__.py", "../far.py"):
        (package / name).write_text("")
    (package / "module.py").write_text("from . import near\nfrom ..far import x\n")
    script = tmp_path / "step.py"
    script.write_text("import shallower.inner.module\n")
    found = {path.relative_to(tmp_path).as_posix() for path in code_files(script, tmp_path)[1:]}
    assert found == {
        *("shallower/__init__.py", "shallower/far.py", "shallower/inner/__init__.py"),
        *("shallower/inner/module.py", "shallower/inner/near.py"),
    }
