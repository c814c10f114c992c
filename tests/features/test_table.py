from __future__ import annotations

import pytest
from feature_table import LATER, README, ROWS, carried, written

TESTS = carried()


@pytest.mark.parametrize("each", [each for each in ROWS if each not in LATER])
def test_every_id_has_a_test_that_carries_its_name(each: str) -> None:
    assert TESTS[each]


def test_what_comes_later_has_no_test_yet() -> None:
    assert not [each for each in LATER if TESTS[each]], "take it out of LATER"


def test_the_table_in_the_readme_is_the_present_one() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text) == text, "run: python tests/feature_table.py"
