from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.shell import environment, rlm


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


def test_ipython_is_used_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "IPython.py").write_text(
        "def start_ipython(argv, user_ns):\n    print(sorted(user_ns), user_ns['model'])\n", "utf-8"
    )
    program = "import sys; sys.path.insert(0, '.'); from rlm.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "console", "-m", "offline/needle"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "['ask', 'model', 'rlm'] offline/needle\n", done.stderr
