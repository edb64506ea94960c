"""The same study on another machine gives the same numbers, but for the last digits of floating-point sums."""

import json

import pytest
from machine_results import EXPECTED, machine_results

# On one machine, with SSE4 in place of AVX-512, logits differed by 1.3e-6, losses by 1.2e-7 and scores not at all.
TOLERANCE = 1e-4


def test_this_machine_finds_the_numbers_of_the_one_that_they_were_written_on(finished_project):
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    found = machine_results(finished_project.folder)
    assert found.keys() == expected.keys()
    for run, numbers in expected.items():
        assert found[run]["scores"] == pytest.approx(numbers["scores"], abs=TOLERANCE), run
        assert found[run]["final_loss"] == pytest.approx(numbers["final_loss"], abs=TOLERANCE), run
        for ours, theirs in zip(found[run]["logits"], numbers["logits"], strict=True):
            assert ours == pytest.approx(theirs, abs=TOLERANCE), run
