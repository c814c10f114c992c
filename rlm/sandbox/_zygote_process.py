"""A zygote that is a process of this machine, over a socket that passes descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rlm.guest
from rlm.errors import SandboxError
from rlm.guest.remains import remove
from rlm.guest.wire import VERSION, Frames
from rlm.sandbox._channel import FROM_ZYGOTE, Channel, OnFrame, OnLost
from rlm.sandbox._inputs import Staged
from rlm.sandbox._scratch import private_folder, sweep_once
from rlm.sandbox._seatbelt import held
from rlm.sandbox._threads import whole
from rlm.sandbox._zygote import Life, Zygote

__all__ = ["ProcessZygote"]

_LOADER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from guest.__main__ import main;"
    " del sys.path[0]; main()"
)


_ENVIRONMENT = {
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    # huge pages for inputs of many small values: a fork has hundreds of times fewer to note down
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


class ProcessZygote(Zygote):
    """A zygote of this machine."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._scratch = private_folder()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._staged: Staged | None = None
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def _start(self, inputs: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._channel = Channel(ours, self._on_frame, self._on_lost, Frames(FROM_ZYGOTE))
            self._process = self._spawn(theirs.fileno())
        self.alive = True
        self._staged = await whole(Staged, inputs)
        self.files = self._staged.files
        bind = {**self._options, "t": "bind", "version": VERSION, "scratch": self._scratch}
        bind |= {"inputs": self._staged.table, "fds": len(self._staged.fds)}
        self._channel.send(bind, (), self._staged.fds)

    def _started(self) -> None:
        if self._staged is not None:
            self._staged.close()

    async def open(self, on_frame: OnFrame, on_lost: OnLost, fds: Sequence[int]) -> Life:
        """Fork a session, to which these descriptors go; they stay the caller's."""
        assert self._channel is not None
        ours, theirs = socket.socketpair()
        life = self._born(Channel(ours, on_frame, on_lost, Frames(self.bounds)))
        with theirs:
            passed = [theirs.fileno(), *fds]
            self._channel.send({"t": "open", "id": life.number, "fds": len(passed)}, (), passed)
            try:
                await self._channel.drained()
            except BaseException:
                life.line.close()  # it ends when it finds nobody there
                raise
        return life

    async def close(self) -> None:
        """End the zygote and all of its sessions, and remove its folder."""
        if self._channel is not None:
            self._channel.close()
        self._complaints.close()
        self._bury()
        if self._process is not None:
            # Not to_thread: whoever is cancelled once more must find this under way already.
            run = asyncio.get_running_loop().run_in_executor
            await asyncio.shield(run(None, _end, self._process, self._scratch))
        else:
            remove(self._scratch)

    def _spawn(self, control: int) -> subprocess.Popen[bytes]:
        """Start a clean interpreter that runs the guest as a zygote on this descriptor."""
        python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        package = str(Path(rlm.guest.__file__).parent.parent)
        command = [python, "-s", "-P", "-S", "-c", _LOADER, package, "zygote", str(control)]
        environment = {**_ENVIRONMENT, "PYTHONHASHSEED": str(self._options["hash_seed"])}
        try:
            return subprocess.Popen(
                held(command, self._scratch, self._options),
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=(control,),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{python} cannot be started: {error}") from error

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._channel is not None
        self._channel.send(message)

    def _end_by_force(self) -> None:
        assert self._process is not None
        _kill(self._process)

    def _on_lost(self, reason: str) -> None:
        self._complaints.seek(0)
        last = self._complaints.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        said = "".join(filter(str.isprintable, last))
        self._fail(f"the sandbox's process has ended; {said or reason or 'it said nothing'}")
        self._bury()


def _end(process: subprocess.Popen[bytes], scratch: str) -> None:
    """Wait for a zygote whose socket is closed: it kills its sessions and goes; then clean up."""
    try:
        _await_end(process.pid)
        process.wait(5)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
    finally:
        remove(scratch)
        sweep_once()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a zygote, and who waits for it outside of its namespace."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _await_end(pid: int) -> None:
    """Return when a child ends, at once where the system can tell; `wait` looks now and then."""
    with contextlib.suppress(AttributeError, OSError):  # only Linux has such descriptors
        fd = os.pidfd_open(pid)
        try:
            ended = select.poll()
            ended.register(fd, select.POLLIN)
            ended.poll(5000)
        finally:
            os.close(fd)
