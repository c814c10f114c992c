"""One session: a namespace, its cells, and the commands of the host, over two descriptors."""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections import ChainMap
from typing import Any, Mapping, Sequence

from . import functions
from .bridge import Bridge, Closed
from .cells import Cells
from .errors import Submitted
from .files import Opener
from .interrupts import Shield
from .output import Capture, Flusher
from .values import LARGE, Blobs, decode, encode
from .wire import VERSION, WireError

__all__ = ["Session", "serve"]

_STACK = 2 * 1024 * 1024
"""Bytes of a thread's stack; they count as memory of the session from its start."""


def serve(
    read_fd: int,
    write_fd: int,
    inputs: Mapping[str, Any],
    place: Opener,
    own: Opener,
    output: Sequence[int],
) -> None:
    """Serve one host until it closes; `inputs` and the files of `place` are what sessions share.

    `output` are the files that descriptors 1 and 2 lead to.
    """
    try:
        Session(read_fd, write_fd, inputs, place, own, output).serve()
    except (Closed, WireError, OSError):
        return


class Session:
    """The state of a session; `own` makes the files that only its variables have."""

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        inputs: Mapping[str, Any],
        place: Opener,
        own: Opener,
        output: Sequence[int],
    ) -> None:
        self._openers = (place, own)
        self._shield = Shield()
        self._bridge = Bridge(read_fd, write_fd, self._shield)
        self._bridge.before_call = self._flush
        self._inputs = {f"place:{name}": value for name, value in inputs.items()}
        self._cells = Cells(self._shield, self._check_answer)
        sys.modules["__main__"] = self._cells.module
        names = ("stdout", "stderr")
        self._captures = [
            Capture(name, fd, self._shield, self._emit)
            for name, fd in zip(names, output)  # noqa: B905 - Python 3.9 has no strict=
        ]
        self._history: Any = None
        self._submit: Any = None

    def serve(self) -> None:
        """Bind, then run cells until the host closes."""
        self._shield.install()
        os.register_at_fork(after_in_child=self._bridge.abandon)
        threading.excepthook = _thread_failed
        threading.stack_size(_STACK)
        message, blob = self._bridge.command()
        if message["t"] != "bind" or message.get("version") != VERSION:
            raise WireError("the host speaks another version of the wire")
        self._bind(message, blob)
        self._bridge.send({"t": "ready", "version": VERSION, "pid": os.getpid()})
        while True:
            message, blob = self._bridge.command()
            if message["t"] == "execute":
                self._execute(message, blob)
            elif message["t"] == "close":
                return

    def _emit(self, name: str, text: str) -> None:
        self._bridge.send({"t": "output", "stream": name, "text": text})

    def _flush(self) -> None:
        for capture in self._captures:
            capture.flush()

    def _bind(self, message: Mapping[str, Any], blob: bytes) -> None:
        names, bridge = message["functions"], self._bridge
        flusher = Flusher(self._captures)
        for capture in self._captures:
            capture.flusher = flusher
        vars(builtins).update(functions.BUILTINS)
        self._seed(message.get("seed", 0))
        place, own = self._openers
        known = ChainMap(self._inputs, place.files)  # not copied: a place may have many files
        variables = {
            name: decode(value, blob, known, own) for name, value in message["variables"].items()
        }
        self._share(variables)
        self._provide(names, message.get("signatures", {}), message.get("outputs", []))
        self._cells.namespace.update(variables)
        bridge.objects.update(self._inputs)

    def _share(self, variables: Mapping[str, Any]) -> None:
        """Learn which large texts can go back to the host by name: a cell cannot change those."""
        known = {**{f"session:{name}": value for name, value in variables.items()}, **self._inputs}
        for name, value in known.items():
            if isinstance(value, (str, bytes)) and len(value) > LARGE:
                self._bridge.names[id(value)] = name
                self._bridge.objects[name] = value

    def _provide(self, names: Any, signatures: Mapping[str, Any], outputs: Any) -> None:
        """Fill the namespace with functions; the host refuses those that it does not have."""
        call, cells, shield = self._bridge.call, self._cells, self._shield
        made = {
            **functions.queries(call),
            **functions.typed(call),
            **functions.outputs(call, outputs, lambda: shield.submitted, self._accept),
            **functions.local(call, cells.own),
        }
        made.update(functions.aliases(made, cells.namespace))
        self._submit, self._history = made["submit"], made["history"]
        for name in names:
            signature, doc = signatures.get(name, ("(*args, **kwargs)", ""))
            if name in signatures or name not in made:
                made[name] = functions.tool(call, name, signature, doc)
        for name, value in made.items():
            cells.give(name, value)
        self._answer: dict[str, Any] = {"content": "", "ready": False}
        cells.give("answer", self._answer)

    def _seed(self, seed: int) -> None:
        import random

        random.seed(seed)

    def _execute(self, message: Mapping[str, Any], blob: bytes) -> None:
        code = decode(message["code"], blob)
        self._history.forget()
        sys.stdout, sys.stderr = self._captures
        for capture in self._captures:
            capture.begin(message["output_bytes"])
        told = self._cells.run(code)
        told["t"], told["n"], told["files"] = "done", message["n"], self._just_read()
        blobs = Blobs()
        for capture in self._captures:
            kept = capture.end()
            told[capture.name] = encode(kept.text(), blobs)
            told[f"{capture.name}_chars"] = kept.chars
        self._bridge.send(told, blobs.pieces)

    def _just_read(self) -> list[str]:
        """Return the references of files that were read for the first time in this session."""
        read = [ref for opener in self._openers for ref in opener.reads]
        for opener in self._openers:
            opener.reads.clear()
        return read

    def _accept(self) -> None:
        """The host has taken the output: let nothing of the cell run on, not even its handlers."""
        self._shield.accept()

    def _check_answer(self) -> None:
        """Submit what a cell left in `answer`, the way of other runtimes."""
        answer = self._cells.namespace.get("answer")
        if isinstance(answer, dict) and answer.get("ready") and "content" in answer:
            answer["ready"] = False
            self._submit(answer["content"])


_report = threading.excepthook


def _thread_failed(failure: Any) -> None:
    """Report what a thread of a cell raised, unless it ended because its output was accepted."""
    if not issubclass(failure.exc_type, Submitted):
        _report(failure)
