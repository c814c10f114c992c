"""A careless host behind the wire: what happens to one that believes what a guest says."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import struct
import time
from typing import Any

from .said import Offered, malformed

__all__ = ["NaiveHost"]

_HEAD = struct.Struct("!IQ")
_GROWN_MB = 200
_MOST_OUTPUT = 8 << 20


class NaiveHost:
    """Speaks the wire with a bare exec and checks nothing; `harms` are what came of it."""

    def __init__(self, line: socket.socket, offered: Offered) -> None:
        self._line = line
        line.settimeout(0.5)
        self._offered = offered
        self._buffer = bytearray()
        self._base = _peak()
        self.output = {"stdout": "", "stderr": ""}
        self.harms: list[str] = []
        self._grown = False
        self._silent = False

    def serve(self, pid: int, seconds: float) -> None:
        """Serve until this process ends or its time is up; it has a second after SIGINT."""
        deadline, interrupted = time.monotonic() + seconds, False
        while True:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            lines = [] if self._silent else [self._line]
            ready, _, _ = select.select(lines, [], [], 0 if ended else 0.005)
            if ready:
                self._guarded()
            elif ended:
                break
            if time.monotonic() > deadline:
                if interrupted:
                    self.harms.append("it did not stop when its time was up")
                    break
                os.kill(pid, signal.SIGINT)
                interrupted, deadline = True, deadline + 1.0
        if self._buffer:
            self.harms.append("the host waits for the rest of a frame")

    def _guarded(self) -> None:
        try:
            self._read()
        except Exception as error:  # a careless host has nothing better either
            self.harms.append(f"the host failed: {type(error).__name__}")
            self._buffer.clear()
            self._silent = True
            self._line.close()

    def _read(self) -> None:
        data = self._line.recv(1 << 18)
        self._silent = not data
        self._buffer += data
        self._weigh()
        while len(self._buffer) >= _HEAD.size:
            size, beside = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + size + beside
            if len(self._buffer) < end:
                return
            message = json.loads(bytes(self._buffer[_HEAD.size : _HEAD.size + size]))
            del self._buffer[:end]
            self._take(message)
            self._weigh()

    def _weigh(self) -> None:
        if not self._grown and _peak() - self._base > _GROWN_MB:
            self._grown = True
            self.harms.append("the host's memory grew")

    def _take(self, message: Any) -> None:
        kind = message["t"]
        if kind == "call":
            self._call(message)
        elif kind == "done":
            self.harms += malformed(message) or ["a forged end of a cell was accepted"]
        elif kind == "output":
            self.output[message["stream"]] += message["text"]
            if len(self.output["stdout"]) > _MOST_OUTPUT:
                self.harms.append("the host kept output without a bound")
                self.output["stdout"] = ""
        elif kind == "usage":
            self._offered.bill += message["usd"]
        elif kind in ("close", "gone", "interrupt"):
            os.kill(message["id"], signal.SIGKILL)
        elif kind in ("answer", "ready", "bind", "failed", "execute", "submit"):
            self.harms.append(f"the host believed a forged {kind!r}")

    def _call(self, message: Any) -> None:
        number = repr(message["id"])
        if number in self._offered.answered or type(message["id"]) is not int:
            self.harms.append("two calls have one number")
        self._offered.answered[number] = 1
        function = self._offered.get(message["name"]) or getattr(self._offered, message["name"])
        arguments = [_rebuilt(one) for one in message["args"]]
        answer = {"t": "answer", "id": message["id"], "value": None}
        answer["value"] = repr(function(*arguments, **message["kwargs"]))
        body = json.dumps(answer).encode()
        self._line.sendall(_HEAD.pack(len(body), 0) + body)


def _rebuilt(value: Any) -> Any:
    """Build what a tag asks for, as a careless host would: any class, any size."""
    if isinstance(value, list):
        return [_rebuilt(one) for one in value]
    if not isinstance(value, dict) or "$" not in value:
        return value
    content = _rebuilt(value.get("v"))
    if value["$"] == "int":
        return int(content, 16)
    if value["$"] == "ref":
        return "KEY of " + str(content)
    made: Any = type(str(value["$"]), (), {"__module__": "guest"})()
    return made


def _peak() -> int:
    """Return the most mebibytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
