"""The stream of a container as a plain socket, also where the engine is reached by TLS."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
from typing import Any

__all__ = ["plain"]

_PIECE = 256 * 1024


def plain(theirs: Any) -> socket.socket:
    """Return a blocking socket of our own for a stream that the SDK has opened.

    With TLS a thread carries bytes between the two for as long as both are open.
    """
    response = getattr(theirs, "_response", None)  # the SDK keeps it there, so that it stays open
    if isinstance(theirs, ssl.SSLSocket):
        ours, far = socket.socketpair()
        threading.Thread(
            target=_carry, args=(theirs, far, response), name="rlm-docker-tls", daemon=True
        ).start()
        return ours
    try:
        ours = socket.socket(fileno=os.dup(theirs.fileno()))
        ours.setblocking(True)  # the SDK's time-out is a property of the descriptor
    finally:
        theirs.close() if response is None else response.close()
    return ours


def _carry(line: ssl.SSLSocket, near: socket.socket, response: Any) -> None:
    """Carry bytes both ways until one side has closed, then close the other."""
    with near, line, contextlib.suppress(OSError):
        line.setblocking(False)
        near.setblocking(False)
        to_engine, to_host = bytearray(), bytearray()
        while True:
            if not to_host and not _take(line, to_host):
                break
            if not to_engine and not _take(near, to_engine):
                break
            _give(near, to_host)
            _give(line, to_engine)
            _wait(line, near, bool(to_engine), bool(to_host))
    if response is not None:
        response.close()


def _take(source: socket.socket, pieces: bytearray) -> bool:
    """Take what is there; say whether the other side may still say more."""
    try:
        data = source.recv(_PIECE)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return True
    pieces += data
    return bool(data)


def _give(target: socket.socket, pieces: bytearray) -> None:
    with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        while pieces:
            del pieces[: target.send(pieces)]


def _wait(line: ssl.SSLSocket, near: socket.socket, to_engine: bool, to_host: bool) -> None:
    """Wait until something can be carried on."""
    if line.pending() and not to_host:
        return
    poll = select.poll()
    poll.register(line, (0 if to_host else select.POLLIN) | (select.POLLOUT if to_engine else 0))
    poll.register(near, (0 if to_engine else select.POLLIN) | (select.POLLOUT if to_host else 0))
    poll.poll()
