from __future__ import annotations

from pathlib import Path

from cli.shell import rlm


def test_rr76_the_console_has_ask_rlm_model_and_the_last_result(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("hay\n" * 99 + "The magic number is 4711.\n", "utf-8")
    typed = "\n".join(
        [
            'ask("What is the magic number?", rlm.File("big.txt"))',
            "(last.status, last.ended_by)",
            "model",
            "ask",
            "",
        ]
    )
    done = rlm("console", "-m", "offline/needle", cwd=tmp_path, stdin=typed)
    assert done.returncode == 0, done.stderr
    assert "'4711'" in done.stdout
    assert "('completed', 'submitted')" in done.stdout
    assert "'offline/needle'" in done.stdout
    assert "ask(" in done.stdout
    assert list((tmp_path / "logs").glob("*.jsonl"))


def test_the_console_takes_a_text_as_context_and_the_model_from_the_environment(
    tmp_path: Path,
) -> None:
    typed = 'ask("What is the magic number?", "The magic number is 12.")\n'
    done = rlm("console", cwd=tmp_path, stdin=typed, RLM_MODEL="offline/needle")
    assert "'12'" in done.stdout


def test_the_console_needs_a_model(tmp_path: Path) -> None:
    done = rlm("console", cwd=tmp_path)
    assert done.returncode == 2
    assert "RLM_MODEL" in done.stderr
