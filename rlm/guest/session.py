"""One session: a namespace, its cells, and the commands of the host, over two descriptors."""

from __future__ import annotations

import builtins
import os
import sys
import threading
from typing import Any, Callable, Mapping

from . import functions
from .bridge import Bridge, Closed
from .cells import Cells
from .errors import Submitted
from .files import File
from .interrupts import Shield
from .output import Capture, Flusher, divert
from .values import LARGE, Blobs, decode, encode
from .wire import VERSION, WireError

__all__ = ["Session", "serve"]

OpenFile = Callable[[Mapping[str, Any]], File]

_STACK = 2 * 1024 * 1024
"""Bytes of a thread's stack; they count as memory of the session from its start."""

_SHARED = (str, bytes, File)
"""What goes back to the host by name: what a cell cannot have changed."""


def serve(read_fd: int, write_fd: int, inputs: Mapping[str, Any], open_file: OpenFile) -> None:
    """Serve one host until it closes; `inputs` are what sessions of this place share."""
    try:
        Session(read_fd, write_fd, inputs, open_file).serve()
    except (Closed, WireError, OSError):
        return


class Session:
    """The state of a session; `open_file` makes a file of an entry in a message."""

    def __init__(
        self, read_fd: int, write_fd: int, inputs: Mapping[str, Any], open_file: OpenFile
    ) -> None:
        self._open_file = open_file
        self._shield = Shield()
        self._bridge = Bridge(read_fd, write_fd, self._shield)
        self._bridge.before_call = self._flush
        self._inputs = {f"place:{name}": value for name, value in inputs.items()}
        self._cells = Cells(self._shield, self._check_answer)
        sys.modules["__main__"] = self._cells.module
        self._captures = [self._capture("stdout", 1), self._capture("stderr", 2)]
        self._unread: dict[int, tuple[str, File]] = {}
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

    def _capture(self, name: str, number: int) -> Capture:
        return Capture(name, divert(number), self._shield, self._emit)

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
        variables = {
            name: decode(value, blob, self._inputs, self._open_file)
            for name, value in message["variables"].items()
        }
        self._share(variables)
        for name, value in variables.items():
            if isinstance(value, File):
                self._unread.setdefault(id(value), (name, value))
        self._provide(names, message.get("signatures", {}), message.get("outputs", []))
        self._cells.namespace.update(variables)
        bridge.objects.update(self._inputs)

    def _share(self, variables: Mapping[str, Any]) -> None:
        """Learn what can go back to the host by its name."""
        known = {**{f"session:{name}": value for name, value in variables.items()}, **self._inputs}
        for name, value in known.items():
            small = isinstance(value, (str, bytes)) and len(value) <= LARGE
            if isinstance(value, _SHARED) and not small:
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
        """Return the names of the files that were read for the first time in this session."""
        read = [key for key, (_, file) in self._unread.items() if file.was_read]
        return [self._unread.pop(key)[0] for key in read]

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
