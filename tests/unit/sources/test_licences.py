"""The licence of a model by its own card, which may be anybody's."""

import pytest

import tiny
from shallower.core.files import read_json
from shallower.delivery.description import base_model_of
from shallower.sources.licences import stated_licence
from shallower.sources.model_places import FolderPlace
from shallower.sources.models import fetch_model


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: Our own licence 1.0\n---\n", "Our own licence 1.0"),
        ("---\nlicense: other\n---\n", None),
        ("---\nlanguage: en\n---\n", None),
        ("# No metadata\nlicense: mit\n", None),
        ("---\nlicense: [mit, apache-2.0]\n---\n", None),
        ('---\nlicense: "mit\\n---\\n# Injected"\n---\n', None),
        ("---\nlicense: <script>alert(1)</script>\n---\n", None),
        (f"---\nlicense: {'a' * 200}\n---\n", None),
        ("---\nlicense: [\n---\n", None),
        ("---\n- a list\n---\n", None),
        ("", None),
    ],
)
def test_what_a_card_states(tmp_path, card, licence):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text(card)
    assert stated_licence(FolderPlace(folder), ["README.md"], tmp_path / "fetched") == licence


def test_a_card_that_is_no_text_does_no_harm(tmp_path, caplog):
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\xfe\n---\n")
    with caplog.at_level("INFO"):
        assert stated_licence(FolderPlace(tmp_path), ["README.md"], tmp_path / "fetched") is None
    assert "the licence is not known" in caplog.text


@pytest.mark.parametrize("has_card", [True, False])
def test_a_fetched_model_keeps_its_licence_for_what_is_made_of_it(tmp_path, has_card):
    model = tiny.make_model(tmp_path / "model", "bert")
    if has_card:
        (model / "README.md").write_text("---\nlicense: mit\n---\n")
    fetch_model({"name": "m", "source": "local", "directory": str(model)}, tmp_path / "target")
    manifest = read_json(tmp_path / "target" / "manifest.json")
    assert manifest.get("license") == ("mit" if has_card else None)
    assert base_model_of(manifest).license == ("mit" if has_card else None)
    assert not (tmp_path / "target" / "README.md").exists()
