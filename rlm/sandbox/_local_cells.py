"""Cells that run in a thread of this process, and what they find in their namespace."""

from __future__ import annotations

import ast
import builtins
import itertools
import linecache
import types
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rlm.guest import functions
from rlm.guest.cells import Cells, split
from rlm.guest.output import Capture
from rlm.sandbox._local_ticks import TICK, Ticker, Ticks
from rlm.sandbox.base import OpenOptions

__all__ = ["NAME", "Kit", "MakeCells", "Stream", "ThreadCells"]

NAME = "<cell>"
"""`__name__` where rewritten code runs, which never reads it: warnings about cells go by it."""

_numbers = itertools.count(1)


class Stream:
    """`sys.stdout` or `sys.stderr` of a cell: it can be written to, and nothing else."""

    encoding = "utf-8"

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def write(self, text: str) -> int:
        """Write text, and nothing that only looks like it: the host works with what it gets."""
        return self._capture.write(str.__str__(text) if isinstance(text, str) else text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """It is no terminal."""
        return False


class Kit:
    """What cells are made with: when to stop, where output goes, what `random` starts from.

    `out` is where `print` leads, `memory_mb` what one operation may make, `closing` is called at
    the end of the session.
    """

    def __init__(
        self,
        ticker: Ticker,
        stdout: Capture,
        stderr: Capture,
        seed: int,
        memory_mb: int | None = None,
    ) -> None:
        self.ticker = ticker
        self.stdout = stdout
        self.stderr = stderr
        self.seed = seed
        self.memory_mb = memory_mb
        self.out: Any = Stream(stdout)
        self.closing: list[Callable[[], None]] = []

    def print(self, *values: Any, file: Any = None, **how: Any) -> None:
        """Print to the session's own output; `sys.stdout` is the process's."""
        builtins.print(*values, file=self.out if file is None else file, **how)

    def help(self, thing: Any = None) -> None:
        """Print the documentation of a thing."""
        import pydoc

        if isinstance(thing, (str, type(None))):
            self.stdout.write("help(thing) prints its documentation; show_vars() lists variables\n")
            return
        shown = pydoc.render_doc(thing, renderer=pydoc.plaintext)  # type: ignore[attr-defined] # not in typeshed
        self.stdout.write(shown)


class ThreadCells(Cells, ABC):
    """Cells with builtins of their own; a subclass says which, and may rewrite the code."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit.ticker, self._check_answer, f" of session {next(_numbers)}")
        self.kit = kit
        self.history: Any = None
        self.namespace["__builtins__"] = {
            **self.builtins(),
            **functions.BUILTINS,
            "print": kit.print,
            "help": kit.help,
        }
        self.namespace[TICK] = kit.ticker.tick
        # what Python has to say about a cell ("\\d", what is never awaited) is not of this process
        warnings.filterwarnings("ignore", module="<cell")

    @abstractmethod
    def builtins(self) -> dict[str, Any]:
        """Return what cells find without importing anything."""

    def prepare(self, tree: ast.Module) -> ast.Module:
        """Return the tree to run; SyntaxError when it must not run."""
        return tree

    def compile(self, code: str, name: str) -> list[types.CodeType]:
        """Return the code objects of a cell, with ticks in it."""
        return split(Ticks().visit(self.prepare(ast.parse(code, name))), name)

    def run(self, code: str) -> dict[str, Any]:
        """Run one cell; of what it says, only plain values leave."""
        told: dict[str, Any] = _plain(super().run(code))
        return told

    def _execute(self, code: types.CodeType) -> Any:
        try:
            return super()._execute(code)
        except BaseExceptionGroup as error:
            stop = self.kit.ticker.stop()
            if stop is None:
                raise
            raise stop.with_traceback(error.__traceback__) from None  # `except*` packed it in

    def provide(
        self,
        call: functions.Call,
        names: Mapping[str, Any],
        options: OpenOptions,
        variables: Mapping[str, Any],
    ) -> None:
        """Fill the namespace with the functions of the run and the variables of the session."""
        ticker = self.kit.ticker
        made = {
            **functions.queries(call),
            **functions.typed(call),
            **functions.outputs(call, options.outputs, lambda: ticker.submitted, ticker.accept),
            **functions.local(call, self.own),
        }
        made.update(functions.aliases(made, self.namespace))
        self._submit, self.history = made["submit"], made["history"]
        signatures = options.signatures
        for name in names:
            if name in signatures or name not in made:
                signature, doc = signatures.get(name, ("(*args, **kwargs)", ""))
                made[name] = functions.tool(call, name, signature, doc)
        for name, value in made.items():
            self.give(name, value)
        self.give("answer", {"content": "", "ready": False})
        self.namespace.update(variables)

    def _check_answer(self) -> None:
        """Submit what a cell left in `answer`, the way of other runtimes."""
        answer = self.namespace.get("answer")
        if isinstance(answer, dict) and answer.get("ready") and "content" in answer:
            answer["ready"] = False
            self._submit(answer["content"])

    def close(self) -> None:
        """Let go of what the cells have left in this process."""
        for number in range(1, self._count + 1):
            linecache.cache.pop(self._name(number), None)
        if self._loop is not None:
            self._loop.close()
        for close in self.kit.closing:
            close()


def _plain(value: Any) -> Any:
    """Return a value without the classes of a cell: a str of its own would run its code here."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_plain(item) for item in value]
    return f"<{type(value).__name__}>"


MakeCells = Callable[[Kit], ThreadCells]
