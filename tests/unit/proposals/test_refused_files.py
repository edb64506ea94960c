"""Files and options of which no study is made: one message, and nothing is written."""

import pytest

from bad_files import PROPOSED, SOUND, Proposal
from shallower.core.errors import UserError


@pytest.mark.parametrize("case", PROPOSED, ids=lambda case: case.name)
def test_a_file_or_option_is_refused(case: Proposal, proposed, tmp_path):
    with pytest.raises(UserError) as caught:
        proposed(case.files, **case.options)
    message = str(caught.value)
    assert [message.count(part) for part in case.message_parts] == [1] * len(case.message_parts), message
    assert len(message) < 2000
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in written if not name.startswith(".scratch")} == {"config.yaml", *case.files}


def test_the_file_that_is_spoilt_is_sound(proposed, tmp_path):
    proposed({"my.csv": SOUND})
    assert (tmp_path / "studies/my.yaml").is_file()
