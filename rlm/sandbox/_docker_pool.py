"""Containers that have started before anybody needs them; each serves one place, once."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING

from rlm.errors import RLMError, SandboxError
from rlm.sandbox._docker_berth import Berth, fresh, launch, remove, sweep
from rlm.sandbox._docker_engine import Engine
from rlm.sandbox._docker_inputs import Weighed
from rlm.sandbox._docker_walls import asked_for

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["Pool"]

_START_SECONDS = 60.0
_PIECE = 64 * 1024
_MOST_COPIED = 64 << 20
"""Bytes of files that are copied to be seen at once; larger ones are mounted where they lie."""
_BESIDE = 8 << 20
"""Bytes of inputs that a container has room for as it is."""


class Pool:
    """Up to `size` containers of one configuration, each with a guest loaded and a folder mounted.

    A thread makes and removes them; it starts with the first use, belongs to this process only, and
    ends with `release`, after which none is left. What fails is tried again when the next place is
    asked for. All methods may be called from any thread.
    """

    def __init__(self, sandbox: DockerSandbox, size: int) -> None:
        self._sandbox = sandbox
        self._size = size
        self._bell = threading.Condition()
        self._ready: deque[Berth] = deque()
        self._used: deque[Berth] = deque()
        self._thread: threading.Thread | None = None
        self._released = False
        self._failure: RLMError | None = None
        self._pid = 0

    def board(self, staged: Weighed) -> Berth:
        """Return a berth that has these inputs: a waiting one, or one that is made for them."""
        self._begin()
        berth = None
        if staged.files_size <= _MOST_COPIED:
            berth = self._take()
        if berth is not None:
            try:
                if self._prepare(berth, staged):
                    return berth
            except BaseException:
                self._leave(berth)
                raise
            self._leave(berth)
        return fresh(self._sandbox, staged)

    def warm(self) -> None:
        """Wait until it is full, or raise what keeps it from being so."""
        self._begin()
        with self._bell:
            self._bell.wait_for(
                lambda: self._failure or self._released or len(self._ready) >= self._size
            )
            failure = self._failure
        if failure is not None:  # what is raised holds the frames that it passes; this must not
            raise type(failure)(str(failure)) from failure

    def release(self) -> None:
        """Let go of all that wait, without waiting until they are removed."""
        with self._bell:
            self._released = True
            self._bell.notify_all()

    def close(self) -> None:
        """Remove all that wait; those in use go when their places end."""
        self.release()
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join()

    # taking and leaving

    def _begin(self) -> None:
        """Start the thread, and tell it that somebody asks."""
        with self._bell:
            self._failure = None
            if not self._released and self._pid != os.getpid():  # a fork has no such thread
                self._ready.clear()
                self._used.clear()
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._work, name="rlm-docker", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._bell.notify_all()

    def _take(self) -> Berth | None:
        with self._bell:
            while self._ready and not self._released:
                berth = self._ready.popleft()
                if _lives(berth.sock):
                    berth.leave = functools.partial(self._leave, berth)
                    return berth
                self._discard(berth)
            return None

    def _prepare(self, berth: Berth, staged: Weighed) -> bool:
        """Give a waiting guest its inputs and the memory for them; say whether that can be."""
        inputs = staged.sent if berth.folder is None else staged.decoded
        if inputs > _BESIDE:
            try:
                engine = Engine(self._sandbox.connect_timeout)
                with contextlib.closing(engine):
                    limit = asked_for(self._sandbox, inputs)["mem_limit"]
                    engine.allow_memory(berth.container, limit)
            except SandboxError:  # not every engine can: then one is made that has it
                return False
        if berth.folder is not None:
            berth.folder.add(staged.fds, mounting=False)
        return True

    def _leave(self, berth: Berth) -> None:
        """Have a used container removed: by the thread, or here when that has ended."""
        with self._bell:
            working = self._thread is not None and self._thread.is_alive() and not self._released
            if working:
                self._discard(berth)
                return
        engine = Engine(self._sandbox.connect_timeout)
        with contextlib.closing(engine):
            _end(engine, berth)

    def _discard(self, berth: Berth) -> None:
        self._used.append(berth)
        self._bell.notify_all()

    # the thread

    def _work(self) -> None:
        engine: Engine | None = None
        try:
            while True:
                with self._bell:
                    self._bell.wait_for(self._has_work)
                    if self._released:
                        break
                    used = self._used.popleft() if self._used else None
                try:
                    if engine is None:
                        engine = Engine(self._sandbox.connect_timeout)
                        sweep(engine)
                    if used is not None:
                        _end(engine, used)
                    else:
                        self._add(self._make(engine))
                except RLMError as error:
                    if engine is not None:
                        engine.close()
                    engine = None
                    self._fail(error)
        finally:
            self._finish(engine)

    def _has_work(self) -> bool:
        return (
            self._released
            or bool(self._used)
            or (self._failure is None and len(self._ready) < self._size)
        )

    def _make(self, engine: Engine) -> Berth:
        berth = launch(engine, self._sandbox)
        try:
            _hear(berth)
        except BaseException:
            _end(engine, berth)
            raise
        return berth

    def _add(self, berth: Berth) -> None:
        with self._bell:
            self._ready.append(berth)
            self._bell.notify_all()

    def _fail(self, error: RLMError) -> None:
        with self._bell:
            self._failure = error
            self._bell.notify_all()

    def _finish(self, engine: Engine | None) -> None:
        """Remove all that is there; a new thread cannot begin any more."""
        with self._bell:
            left = [*self._ready, *self._used]
            self._ready.clear()
            self._used.clear()
        try:
            if left:
                engine = engine or Engine(self._sandbox.connect_timeout)
                for berth in left:
                    _end(engine, berth)
        except RLMError as error:
            self._fail(error)  # the engine has gone, and with it what it ran
        finally:
            if engine is not None:
                engine.close()
            atexit.unregister(self.close)


def _lives(sock: socket.socket) -> bool:
    """Say whether the guest at the other end is still there."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _hear(berth: Berth) -> None:
    """Wait until a guest says that it is there."""
    berth.sock.settimeout(_START_SECONDS)
    try:
        while not berth.said:
            data = berth.sock.recv(_PIECE)
            berth.said += berth.attached.feed(data)
            if not data:
                said = berth.attached.complaints.decode("utf-8", "replace").strip()
                raise SandboxError(
                    f"a container of the pool has ended; {said or 'it said nothing'}"
                )
        berth.sock.setblocking(False)
    except (OSError, ValueError) as error:
        raise SandboxError(f"a container of the pool does not start: {error}") from error


def _end(engine: Engine, berth: Berth) -> None:
    """Remove a container with its stream and its folder."""
    berth.sock.close()
    berth.loaded()
    remove(engine, berth.container)
