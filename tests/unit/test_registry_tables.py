"""The tables of README.md and docs/cluster.md say what the registries have."""

import pytest

from registry_tables import PAGES, ROOT, with_tables


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_up_to_date(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text == with_tables(page, text), "run `make docs`"


def test_a_page_without_its_table_is_noticed():
    with pytest.raises(ValueError, match=r"README\.md has 0 tables with the header \| strategy \|"):
        with_tables("README.md", "| plan | cost |\n")
