from __future__ import annotations

import pytest
from feature_table import README, ROWS, carried, written

TESTS = carried()


@pytest.mark.parametrize("each", ROWS)
def test_every_id_has_a_test_that_carries_its_name(each: str) -> None:
    assert TESTS[each]


def test_the_table_in_the_readme_is_the_present_one() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text) == text, "run: python tests/feature_table.py"
