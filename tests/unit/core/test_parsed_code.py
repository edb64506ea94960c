import json
from pathlib import Path

import pytest

from shallower.core import parsed_code
from shallower.core.parsed_code import RECORD, keep_parsed, parsed_module

CODE = '''"""Says see-old.jinja."""
import json, os.path
from . import near
from ..far.away import one, two
PAGE = "page.jinja"
'''


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make as if a process had started in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def begin() -> None:
        monkeypatch.setattr(parsed_code, "_asked", {})
        parsed_code._recorded.cache_clear()

    yield begin
    parsed_code._recorded.cache_clear()


def count_parsing(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    parsed: list[Path] = []
    parse = parsed_code._parse
    monkeypatch.setattr(parsed_code, "_parse", lambda file: (parsed.append(file), parse(file))[1])
    return parsed


def test_imports_and_templates_are_found(tmp_path: Path):
    file = tmp_path / "code.py"
    file.write_text(CODE)
    module = parsed_module(file)
    assert module.imports == ["json", "os.path"]
    assert [tuple(found) for found in module.imports_from] == [("", 1, ["near"]), ("far.away", 2, ["one", "two"])]
    assert module.templates == ["page.jinja"]  # docstrings name none


def test_a_later_start_parses_only_what_has_changed(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parsed = count_parsing(monkeypatch)
    files = [tmp_path / "one.py", tmp_path / "two.py"]
    files[0].write_text(CODE)
    files[1].write_text("x = 1\n")
    start()
    first = [parsed_module(file) for file in files]
    keep_parsed()
    assert parsed == files

    start()
    again = [parsed_module(file) for file in files]
    assert parsed == files
    assert [module.digest for module in again] == [module.digest for module in first]
    assert again[0].templates == first[0].templates and again[0].imports == first[0].imports

    start()
    files[1].write_text("x = 2\n")
    changed = [parsed_module(file) for file in files]
    keep_parsed()
    assert parsed == [*files, files[1]]
    assert changed[0].digest == first[0].digest and changed[1].digest != first[1].digest
    # What is no longer asked for leaves the record.
    assert len(json.loads(RECORD.read_text())["modules"]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: text.replace('"digest"', '"digests"'),
        lambda text: json.dumps(json.loads(text) | {"parser": "another"}),
    ],
    ids=["cut", "a list", "other fields", "of another version"],
)
def test_a_record_that_is_not_this_codes_does_not_count(start, tmp_path: Path, monkeypatch, damage):
    parsed = count_parsing(monkeypatch)
    file = tmp_path / "one.py"
    file.write_text(CODE)
    start()
    module = parsed_module(file)
    keep_parsed()
    RECORD.write_text(damage(RECORD.read_text()))
    start()
    assert parsed_module(file) == module
    assert parsed == [file, file]


def test_a_folder_that_cannot_be_written_to_costs_only_time(start, tmp_path: Path):
    (tmp_path / RECORD.parent).write_text("a file where a folder should be")
    file = tmp_path / "one.py"
    file.write_text(CODE)
    start()
    parsed_module(file)
    keep_parsed()
    assert (tmp_path / RECORD.parent).is_file()
