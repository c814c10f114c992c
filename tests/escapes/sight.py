"""An execution as people and programs see it: on a terminal, and in the log of a run."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rlm.events import CodeExecuted, ErrorFact, VariableFact
from rlm.sandbox.base import Execution
from rlm.sinks.lines import Verbose
from rlm.store.files import FileLog
from rlm.trace import Trace

from .screen import log_harms, terminal_harms

__all__ = ["shown_and_kept"]


def shown_and_kept(done: Execution) -> list[str]:
    """Return what a terminal with the verbose sink, or a reader of the log, would suffer."""
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=100)
    with tempfile.TemporaryDirectory(prefix="escape-log-") as folder:
        log = FileLog(folder, "run")
        trace = Trace("run", sinks=[Verbose(console)], writer=log)
        event = _emit(trace, done)
        trace.close()
        kept = Path(folder, "run.jsonl").read_bytes()
        harms = _kept_harms(kept)
        if not harms and event.stdout_chars < 10_000:
            again = Trace.read(Path(folder, "run.jsonl"))
            if [one.model_dump() for one in again] != [event.model_dump()]:
                harms = ["the log reads as something else"]
    return terminal_harms(screen.getvalue()) + harms


def _kept_harms(kept: bytes) -> list[str]:
    lines = kept.split(b"\n")
    if len(lines) != 2 or lines[1]:
        return ["one event is several lines of the log"]
    try:
        text = lines[0].decode("utf-8")
    except UnicodeDecodeError:
        return ["the log is no UTF-8"]
    return log_harms(text.replace("\u2028", " ").replace("\u2029", " ").replace("\x85", " "))


def _emit(trace: Trace, done: Execution) -> CodeExecuted:
    error = done.error
    fact = None
    if error is not None:
        details = {"line": error.line, "source": error.source, "traceback": error.traceback}
        fact = ErrorFact(type=error.type, message=error.message, details=details)
    variables = tuple(
        VariableFact(name=one.name, type=one.type, length=one.length, preview=one.preview)
        for one in done.variables
    )
    return trace.emit(
        CodeExecuted, "0", turn=1, cell=1, stdout=done.stdout, stderr=done.stderr,
        stdout_chars=done.stdout_chars, stderr_chars=done.stderr_chars, value=done.value,
        error=fact, variables=variables, seconds=done.seconds,
    )  # fmt: skip
