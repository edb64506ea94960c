"""Every malformed study, data file and checkpoint is refused with one message that names the culprit and the remedy."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from bad_inputs import FETCHED, PLANNED, Case, as_page, make_base
from shallower.core.errors import StudyErrors, UserError
from shallower.planning.sizes import model_sizes
from shallower.sources.models import fetch_model
from shallower.study.file import check_study_file
from shallower.study.resolve import resolve_study
from shallower.study.study import Study


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("base")
    return folder, make_base(folder)


@pytest.fixture
def spoilt(base: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Change a copy of the sound study, which is then the working directory."""

    def make(case: Case | None) -> Path:
        folder, study = tmp_path / "study", copy.deepcopy(base[1])
        shutil.copytree(base[0], folder)
        text = case.spoil(folder, study) if case else None
        if text is None:
            text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
        (folder / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        monkeypatch.chdir(folder)
        return folder

    return make


def planned() -> Study:
    """What is done with a study before any job runs."""
    check_study_file("config.yaml")
    # The loader that Snakemake uses.
    study = resolve_study(yaml.load(Path("config.yaml").read_bytes(), Loader=yaml.FullLoader))
    model_sizes(study)
    return study


def test_there_are_many_cases_and_each_has_its_own_name():
    names = [case.name for case in (*PLANNED, *FETCHED)]
    assert len(names) == len(set(names))
    assert len(names) >= 150


def test_the_page_is_made_from_the_cases():
    page = Path(__file__).parents[2] / "docs/bad-inputs.md"
    assert page.read_text(encoding="utf-8") == as_page(), "run tests/bad_inputs.py, as the page says"


def test_the_study_that_is_spoilt_is_sound(spoilt):
    spoilt(None)
    study = planned()
    fetch_model(study.model_definition("bert"), "out")


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: case.name)
def test_reported_before_any_job_runs(case, spoilt):
    folder = spoilt(case)
    with pytest.raises(UserError) as caught:
        planned()
    check(case, caught.value, folder)


@pytest.mark.parametrize("case", FETCHED, ids=lambda case: case.name)
def test_reported_when_the_model_is_fetched(case, spoilt):
    folder = spoilt(case)
    study = planned()
    with pytest.raises(UserError) as caught:
        fetch_model(study.model_definition("bert"), "out")
    check(case, caught.value, folder)
    assert not any((folder / "out").iterdir())


def check(case: Case, error: UserError, folder: Path) -> None:
    """One problem (rows of a file may have one each), each of the words once, and nothing done."""
    message = str(error)
    assert [message.count(part) for part in case.message_parts] == [1] * len(case.message_parts), message
    problems = error.problems if isinstance(error, StudyErrors) else [message]
    places = {problem.split(": row ")[0] for problem in problems}
    assert len(places) == 1, message
    assert len(message) < 4000, message
    assert not (folder / "pwned").exists()
