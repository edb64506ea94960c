"""The smoke study is the paper's, only smaller."""

import paper_smoke


def covered(strategies, origins):
    """Pairs of strategy and origin that a study runs."""
    return {(entry["name"], origin) for entry in strategies for origin in entry.get("origins", origins)}


def test_the_smoke_study_has_every_model_strategy_and_origin_of_the_papers():
    paper = paper_smoke.paper_study()
    origins = [origin["name"] for origin in paper["origins"]]
    assert {model["name"] for model in paper["models"]} == set(paper_smoke.FAMILIES)
    assert covered(paper_smoke.STRATEGIES, origins) == covered(paper["strategies"], origins)
    assert set(paper_smoke.TASKS) < {task["name"] for task in paper["tasks"]}


def test_made_up_tasks_are_in_glues_form(tmp_path):
    for subset, header in (("sst2", "sentence,label"), ("stsb", "sentence1,sentence2,label")):
        paper_smoke.make_glue_files(tmp_path / subset, subset)
        lines = (tmp_path / subset / "train.csv").read_text().splitlines()
        assert lines[0] == header
        assert len(lines) == 65
    labels = {line.rsplit(",", 1)[1] for line in (tmp_path / "sst2/validation.csv").read_text().splitlines()[1:]}
    assert labels == {"negative", "positive"}
