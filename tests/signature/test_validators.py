from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lawful import checked

import rlm
from rlm.testing import ScriptedLM


def broken(output: Any) -> None:
    raise KeyError("a defect of the caller's own")


@pytest.mark.parametrize("reply", ["```repl\nsubmit(1)\n```", "```final\n1\n```"])
def test_a_defect_of_a_validator_ends_the_run_and_is_named(reply: str, tmp_path: Path) -> None:
    lm = ScriptedLM([reply, reply])
    result = checked(
        rlm.predict(
            "text -> n: int", input={"text": "x"}, model=lm, validators=[broken], log_dir=tmp_path
        )
    )
    assert result.status == "tool_error"
    assert lm.left == 1  # no model can mend it
    with pytest.raises(rlm.ToolError, match=r"KeyError: .*a defect.*of broken"):
        _ = result.output
