"""Models of the hub: what their configuration rules out is said when a study is read, once the cache has it."""

import pytest

import tagged_words
import tiny
from hub_server import HubServer
from shallower.core.errors import StudyErrors
from shallower.core.files import read_json, write_json
from shallower.sources.hub import cached_file, download
from shallower.study.resolve import resolve_study


@pytest.fixture
def modern(tmp_path):
    """The folder of a tiny ModernBERT, whose lowest layer must stay."""
    return tiny.make_model(tmp_path / "model", "modernbert", num_layers=3)


@pytest.fixture
def read(modern, tmp_path, monkeypatch):
    """What is wrong with a study of this model on the hub: first without its configuration, then with it."""

    def problems(**changes):
        with HubServer({("model", "someone/modern"): modern}) as hub:
            hub.connect(monkeypatch, tmp_path / "cache")
            revision = hub.revision("model", "someone/modern")
            model = {"name": "modern", "source": "hub", "repository": "someone/modern", "revision": revision}
            study = {
                "study": "tiny",
                "models": [model | changes.pop("model", {})],
                "tasks": [tagged_words.make_task_files(tmp_path / "data")],
                "origins": [{"name": "finetuned"}],
                "strategies": [{"name": "top", "amounts": [1]}],
                "seeds": [1],
                **changes,
            }
            resolve_study(study)  # nothing is known yet
            asked = len(hub.requests)
            download("someone/modern", revision, ["config.json"], "model", tmp_path / "fetched")
            file = cached_file("someone/modern", revision, "config.json")
            assert read_json(file) == read_json(modern / "config.json")
            fetched = len(hub.requests)
            assert fetched > asked == 0
            with pytest.raises(StudyErrors) as caught:
                resolve_study(study)
            assert len(hub.requests) == fetched
            # What is damaged is downloaded again, and says nothing before.
            file.resolve().write_text("{")
            assert cached_file("someone/modern", revision, "config.json") is None
            resolve_study(study)
            return "\n".join(caught.value.problems)

    return problems


def test_layers_that_must_stay_and_positions(read):
    found = read(
        strategies=[{"name": "custom", "amounts": [[0]]}, {"name": "bottom", "amounts": [1], "protect": [1, 2]}],
        measure={"sequence_length": 60_000},
    )
    assert "strategies[0] (custom).amounts" in found
    assert "must stay" in found
    assert "strategies[1] (bottom).protect" in found
    assert "measure.sequence_length: 60000 tokens, but model modern has" in found


def test_the_number_of_layers(read):
    found = read(model={"num_layers": 4})
    assert found == "models[0] (modern): the model has 3 layers, the study says num_layers: 4; correct it"


@pytest.mark.parametrize(
    ("model_type", "message"),
    [
        ("t5", "the architecture 't5' is not supported; supported ones: bert"),
        # Words are tagged here.
        ("gpt2", "the family gpt2 does not suit tokens: a token is read without those behind it"),
    ],
)
def test_the_family(modern, read, model_type, message):
    write_json(modern / "config.json", read_json(modern / "config.json") | {"model_type": model_type})
    assert read().startswith(f"models[0] (modern): {message}")
