"""The real command on a pseudo-terminal, as somebody sees it who sits before one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.shell import PROGRAM, environment

__all__ = ["Seen", "on_a_terminal"]

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command came to, and every character that it sent to its terminal."""

    code: int
    text: str


def on_a_terminal(
    *arguments: str,
    cwd: Path,
    program: Sequence[str] = PROGRAM,
    stdin: str | None = None,
    typed: str = "",
    when: str = "",
    then: Callable[[int], str] = lambda pid: "",
    width: int = 80,
    **variables: str,
) -> Seen:
    """Run `rlm` on a terminal that shows bytes as they come, and does not echo what is typed.

    Its stdin is the terminal, or a file with this text. As soon as there is something to read,
    `typed` is typed; as soon as `when` was read, what `then` returns for the process's id.
    """
    ours, theirs = _terminal(width)
    source = theirs if stdin is None else _file(cwd / "typed.py", stdin)
    process = subprocess.Popen(
        [*program, *arguments],
        cwd=cwd,
        env=environment(cwd, TERM="xterm", **variables),
        stdin=source,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
    )
    for descriptor in {source, theirs}:
        os.close(descriptor)
    found = bytearray()
    while piece := _piece(ours):
        found += piece
        if when and when.encode() in found:
            typed, when = typed + then(process.pid), ""
        os.write(ours, typed.encode())
        typed = ""
    os.close(ours)
    return Seen(process.wait(_SECONDS), found.decode("utf-8", "backslashreplace"))


def _terminal(width: int) -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    modes = termios.tcgetattr(theirs)
    modes[1] &= ~termios.OPOST
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    return ours, theirs


def _file(path: Path, text: str) -> int:
    path.write_text(text, encoding="utf-8")
    return os.open(path, os.O_RDONLY)


def _piece(terminal: int) -> bytes:
    """Return what was written next; nothing when the last writer is gone, or nobody writes."""
    if not select.select([terminal], [], [], _SECONDS)[0]:
        return b""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""
