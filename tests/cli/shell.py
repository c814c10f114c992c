"""The real command in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = [sys.executable, "-c", "from rlm.cli import main; main()"]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return a clean environment: no key and no default model but those given."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "XDG_CACHE_HOME") if name in os.environ
    }
    root = str(Path(__file__).parents[2])
    return {**kept, "HOME": str(home), "PYTHONPATH": root, "PYTHONUTF8": "1", **variables}


def rlm(
    *arguments: str, cwd: Path, stdin: str | bytes = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `rlm` in a folder, with stdin, stdout and stderr in pipes."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=environment(cwd, **variables),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
