"""Lists in fields of text: what programs write is read as it was, and nothing else is taken for a list."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallower.core.written_lists import written_list

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), max_size=6)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_what_programs_write_is_read_as_it_was(texts):
    for write in (json.dumps, str, lambda found: str(np.array(found, dtype=object))):
        assert written_list(write(texts)) == texts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" [] ", []),
        ("[1, 2]", [1, 2]),
        ("[ 1 27]", [1, 27]),
        ("['a',\n 'b']", ["a", "b"]),
        ("['a' 'b', 'c']", None),
        ("['a''b']", None),
        ("[a, b]", None),
        ("['a'] and ['b']", None),
        ("[open('x')]", None),
        ("['\\x']", None),
        ("[1] as before", None),
        ("", None),
    ],
)
def test_what_is_a_list(text, found):
    assert written_list(text) == found
