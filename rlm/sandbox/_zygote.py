"""The host's view of a zygote: starting it, its sessions' lives, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import rlm.guest
from rlm.errors import SandboxError
from rlm.guest.wire import VERSION, Frame
from rlm.sandbox._channel import Channel
from rlm.sandbox._inputs import Staged

__all__ = ["Life", "Zygote"]

_START_SECONDS = 60.0
_KILL_SECONDS = 10.0
_LOADER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from guest.__main__ import main;"
    " del sys.path[0]; main()"
)


@dataclass
class Life:
    """One session's process: its number in the zygote, and the exit code once it is `gone`.

    The code is negative for a signal, and None when the zygote itself has gone.
    """

    number: int
    gone: asyncio.Future[int | None]
    interrupted: asyncio.Future[None] | None = None


class Zygote:
    """A running zygote. `options` is its `bind` message without what only this class knows."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._lives: dict[int, Life] = {}
        self._last = 0
        self._scratch = ""
        self.facts: dict[str, Any] = {}
        self.alive = False

    async def start(self, inputs: Mapping[str, Any]) -> None:
        """Start the process and load the inputs; SandboxError when it cannot be had."""
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._scratch = tempfile.mkdtemp(prefix="rlm-")
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        ours, theirs = socket.socketpair()
        staged: Staged | None = None
        try:
            self._channel = Channel(ours, self._on_frame, self._on_lost)
            self._process = _spawn(theirs.fileno(), self._options["hash_seed"], self._complaints)
            theirs.close()
            self.alive = True
            staged = await asyncio.to_thread(Staged, inputs)
            bind = {**self._options, "t": "bind", "version": VERSION, "scratch": self._scratch}
            bind |= {"inputs": staged.values, "fds": len(staged.fds)}
            self._channel.send(bind, (), staged.fds)
            self.facts = await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            await self.close()
            raise SandboxError("the sandbox did not start within a minute") from None
        except BaseException:
            await self.close()
            raise
        finally:
            theirs.close()
            if staged is not None:
                staged.close()

    def open(self, sock: socket.socket, fds: list[int]) -> Life:
        """Fork a session that speaks over `sock`; the descriptors stay the caller's."""
        self._last += 1
        life = Life(self._last, asyncio.get_running_loop().create_future())
        if not self.alive:
            life.gone.set_result(None)
            return life
        self._lives[life.number] = life
        passed = [sock.fileno(), *fds]
        self._channel.send({"t": "open", "id": life.number, "fds": len(passed)}, (), passed)
        return life

    async def interrupt(self, life: Life) -> None:
        """Send SIGINT to a session, and return when it is delivered."""
        if life.gone.done():
            return
        if life.interrupted is None:
            life.interrupted = asyncio.get_running_loop().create_future()
            self._channel.send({"t": "interrupt", "id": life.number})
        either: list[asyncio.Future[Any]] = [life.interrupted, life.gone]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async def kill(self, life: Life) -> int | None:
        """End a session with its process group; return its exit code once it is reaped."""
        if not life.gone.done():
            self._channel.send({"t": "close", "id": life.number})
            await asyncio.wait([life.gone], timeout=_KILL_SECONDS)
        if not life.gone.done():  # the zygote hangs: with it end all of its sessions
            self._process.kill()
        return await asyncio.shield(life.gone)

    async def close(self) -> None:
        """End the zygote and all of its sessions, and remove its folder."""
        process = getattr(self, "_process", None)
        channel = getattr(self, "_channel", None)
        if channel is not None:
            channel.close()
        self._complaints.close()
        self._bury()
        if process is not None:
            await asyncio.shield(asyncio.to_thread(_end, process, self._scratch))
        else:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _bury(self) -> None:
        self.alive = False
        for life in self._lives.values():
            if not life.gone.done():
                life.gone.set_result(None)
        self._lives.clear()

    def _on_frame(self, frame: Frame) -> None:
        message = frame[0]
        kind = message["t"]
        if kind == "gone":
            life = self._lives.pop(message["id"])
            if not life.gone.done():
                life.gone.set_result(int(message["code"]))
        elif kind == "interrupted":
            found = self._lives.get(message["id"])
            if found is not None and found.interrupted is not None:
                found.interrupted.set_result(None)
                found.interrupted = None
        elif kind == "ready" and not self._ready.done():
            self._ready.set_result({"missing": message["missing"], "python": message["python"]})
        elif kind == "failed":
            self._fail(f"the sandbox cannot start: {message['message']}")

    def _on_lost(self, reason: str) -> None:
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        self._fail(f"the sandbox's process has ended; {said or reason or 'it said nothing'}")
        self._bury()

    def _fail(self, why: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(SandboxError(why))


def _spawn(control: int, hash_seed: int, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a clean interpreter that runs the guest as a zygote on this descriptor."""
    python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    package = str(Path(rlm.guest.__file__).parent.parent)
    command = [python, "-s", "-P", "-S", "-c", _LOADER, package, "zygote", str(control)]
    environment = {"PYTHONHASHSEED": str(hash_seed), "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=(control,),
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"{python} cannot be started: {error}") from error


def _end(process: subprocess.Popen[bytes], scratch: str) -> None:
    """Wait for a zygote whose socket is closed: it kills its sessions and goes; then clean up."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(scratch)
