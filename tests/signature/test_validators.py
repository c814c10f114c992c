from __future__ import annotations

from typing import Any

import pytest

import rlm
from rlm.testing import ScriptedLM


def broken(output: Any) -> None:
    raise KeyError("a defect of the caller's own")


@pytest.mark.parametrize("reply", ["```repl\nsubmit(1)\n```", "```final\n1\n```"])
def test_a_defect_of_a_validator_is_raised_and_costs_no_further_turns(reply: str) -> None:
    lm = ScriptedLM([reply, reply])
    with pytest.raises(KeyError, match="a defect"):
        rlm.predict("text -> n: int", input={"text": "x"}, model=lm, validators=[broken])
    assert lm.left == 1
