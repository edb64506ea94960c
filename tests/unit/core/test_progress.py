import logging

from shallower.core import progress
from shallower.core.progress import PROGRESS_SECONDS, Progress


def test_a_line_comes_at_most_once_in_a_while(monkeypatch, caplog):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with caplog.at_level(logging.INFO):
        lines = Progress(logging.getLogger("shallower"))
        for step in range(1, 26):
            now += PROGRESS_SECONDS / 10
            lines.log("step %d of %d", step, 25)
    assert caplog.messages == ["step 10 of 25", "step 20 of 25"]
    assert not lines.is_due()
    now += PROGRESS_SECONDS
    assert lines.is_due()
