from __future__ import annotations

from pathlib import Path

from cli.shell import rlm


def test_the_demo_answers_both_questions_and_exits_0(tmp_path: Path) -> None:
    done = rlm("demo", "--size-mb", "2", "--log-dir", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no language model" in done.stdout
    assert len(list((tmp_path / "kept").glob("*.jsonl"))) == 2
    assert done.stderr == ""
