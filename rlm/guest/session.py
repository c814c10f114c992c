"""One session: a namespace, its cells, and the commands of the host, over two descriptors."""

from __future__ import annotations

import builtins
import os
import sys
import threading
import types
from collections import ChainMap
from typing import Any, Mapping, NoReturn, Optional

from . import functions
from .bridge import Bridge, Closed
from .cells import VALUE_CHARS, Cells
from .errors import Submitted
from .files import Opener
from .images import Gallery
from .interrupts import Shield
from .spool import Pump, Spool, Stream
from .values import LARGE, Blobs, decode, encode
from .wire import VERSION, Bounds, WireError

__all__ = ["BROKEN", "Session", "serve"]

BROKEN = 70
"""The exit code of a session whose own program a cell has broken."""

_STACK = 2 * 1024 * 1024
"""Bytes of a thread's stack; they count as memory of the session from its start."""

_exit = os._exit


def serve(
    read_fd: int,
    write_fd: int,
    inputs: Mapping[str, Any],
    place: Opener,
    own: Opener,
    spool: Spool,
) -> None:
    """Serve one host until it closes; `inputs` and the files of `place` are what sessions share.

    `spool` takes what cells print.
    """
    try:
        Session(read_fd, write_fd, inputs, place, own, spool).serve()
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
        spool: Spool,
    ) -> None:
        self._openers = (place, own)
        self._shield = Shield()
        self._shield.leave = self._leave
        self._bridge = Bridge(read_fd, write_fd, self._shield)
        self._bridge.before_call = self._flush
        self._inputs = {f"place:{name}": value for name, value in inputs.items()}
        self._gallery = Gallery(VALUE_CHARS)
        self._cells = Cells(self._shield, self._check_answer)
        self._cells.show = self._gallery.show
        sys.modules["__main__"] = self._cells.module
        self._streams = [Stream(n, spool, self._shield, self._emit) for n in (0, 1)]
        self._pump = Pump(self._streams)
        self._cell = 0
        self._forked = False
        self._history: Any = None
        self._submit: Any = None

    def serve(self) -> None:
        """Bind, then run cells until the host closes."""
        os.register_at_fork(after_in_child=self._fork)
        threading.excepthook = _thread_failed
        threading.stack_size(_STACK)
        for stream in self._streams:
            stream.begin(0)
            stream.end()
        message, blob = self._bridge.command()
        if message["t"] != "bind" or message.get("version") != VERSION:
            raise WireError("the host speaks another version of the wire")
        self._bind(message, blob)
        self._bridge.send({"t": "ready", "version": VERSION, "pid": os.getpid()})
        self._run()

    def _run(self) -> NoReturn:
        """Run cells until the host closes; what breaks this program ends it, and says so."""
        code = BROKEN
        try:
            while True:
                message, blob = self._bridge.command()
                if message["t"] == "execute":
                    self._execute(message, blob)
                elif message["t"] == "close":
                    code = 0
                    break
        except Closed:
            code = 0
        finally:
            _exit(code)

    def _emit(self, name: str, text: str) -> None:
        self._bridge.send({"t": "output", "stream": name, "text": text})

    def _flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def _fork(self) -> None:
        """Say nothing any more: this is a process that a cell has forked."""
        self._forked = True
        self._bridge.abandon()
        for stream in self._streams:
            stream.abandon()

    def _bind(self, message: Mapping[str, Any], blob: bytes) -> None:
        names, bridge = message["functions"], self._bridge
        bridge.most = Bounds(*message.get("most", ()))
        self._own_builtins()
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

    def _own_builtins(self) -> None:
        """Give cells builtins of their own, so that what they do to those is done to them only."""
        made = types.ModuleType("builtins")
        made.__dict__.update(vars(builtins), **functions.BUILTINS)
        sys.modules["builtins"] = self._cells.namespace["__builtins__"] = made
        self._cells.last = made.__dict__

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
            "display": self._gallery.display,
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
        self._cell = message["n"]
        self._history.forget()
        self._gallery.begin()
        sys.stdout, sys.stderr = self._streams
        for stream in self._streams:
            stream.begin(message["output_bytes"])
        self._pump.begin()
        told = self._cells.run(code)
        if self._forked:  # it came out of the cell like its parent, who alone tells of it
            _say_failure(told["error"])
            _exit(0 if told["error"] is None else 1)
        self._tell(told)

    def _tell(self, told: dict[str, Any]) -> None:
        """Tell the host what came of the cell."""
        told["t"], told["n"], told["files"] = "done", self._cell, self._just_read()
        blobs = Blobs()
        self._pump.end()
        for stream in self._streams:
            kept = stream.end()
            told[stream.name] = encode(kept.text(), blobs)
            told[f"{stream.name}_chars"] = kept.chars
        if self._gallery.images:
            told["images"] = [encode(image, blobs) for image in self._gallery.images]
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

    def _leave(self) -> NoReturn:
        """Leave a cell that has submitted as it stands, and run all later ones from here.

        Unwinding it would run its handlers, and an `except:` around a `submit` would go on.
        """
        depth, frame = 0, sys._getframe()
        while frame.f_back is not None:
            depth, frame = depth + 1, frame.f_back
        sys.setrecursionlimit(min(sys.getrecursionlimit() + depth, 1 << 30))
        told = self._cells.accepted()
        self._shield.end()
        self._tell(told)
        self._run()

    def _check_answer(self) -> None:
        """Submit what a cell left in `answer`, the way of other runtimes."""
        answer = self._cells.namespace.get("answer")
        if isinstance(answer, dict) and answer.get("ready") and "content" in answer:
            answer["ready"] = False
            self._submit(answer["content"])


def _say_failure(error: Optional[Mapping[str, Any]]) -> None:
    if error is not None:
        sys.stderr.write(error["traceback"] or f"{error['type']}: {error['message']}\n")


_report = threading.excepthook


def _thread_failed(failure: Any) -> None:
    """Report what a thread of a cell raised, unless it ended because its output was accepted."""
    if not issubclass(failure.exc_type, Submitted):
        _report(failure)
