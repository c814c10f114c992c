"""A command that carries a guest's standard streams: its start, its complaints, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from rlm.errors import SandboxError
from rlm.sandbox._command_loader import MARK, first_line, guest
from rlm.sandbox._threads import whole

__all__ = ["CommandProcess"]

_MOST_BEFORE = 1024 * 1024
"""Bytes that a command may say before its guest does: a banner, a message of the day."""

_MOST_COMPLAINTS = 4096
_TOLD_LINES, _TOLD_CHARS = 3, 400
_PATIENCE, _MERCY, _REST = 5.0, 2.0, 0.5
"""Seconds to end for a guest whose stdin is closed, for a command that is asked to, and for those
that it leaves behind."""

_TERMINAL = "it puts a terminal in between, as `-t` of ssh, docker and others does: leave that out"


class CommandProcess:
    """A running command with its process group; `stream` is its standard input and output.

    Raises SandboxError where there is no such command.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._program = PurePath(words[0]).name
        self._loop = asyncio.get_running_loop()
        self._complaints = b""
        self._patience = 0.0
        self.stream, theirs = socket.socketpair()
        self._stderr, stderr = os.pipe()
        try:
            self._process = subprocess.Popen(
                list(words),
                env=dict(environment),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            self.stream.close()
            os.close(self._stderr)
            why = f"the command {self._program!r} cannot be started: {error.strerror}"
            raise SandboxError(why) from error
        finally:
            theirs.close()
            os.close(stderr)
        self.stream.setblocking(False)
        os.set_blocking(self._stderr, False)
        self._loop.add_reader(self._stderr, self._listen)

    async def guest(self, folder: str, seconds: float) -> str:
        """Bring up the guest, which makes a folder of its own in `folder`, and return that."""
        heard = bytearray()
        try:
            async with asyncio.timeout(seconds):
                with contextlib.suppress(OSError):  # what it said before it went is read below
                    await self._loop.sock_sendall(self.stream, first_line(folder))
                own = await self._greeting(heard)
                if own.endswith(b"\r"):
                    raise SandboxError(self._no_sandbox(_TERMINAL))
                await self._loop.sock_sendall(self.stream, guest())
        except TimeoutError:
            why = f"it brought up no Python within {seconds:g} seconds"
        except (OSError, EOFError):
            why = await self._how_it_ended()
        else:
            self._patience = _PATIENCE
            return os.fsdecode(own)
        raise SandboxError(self._no_sandbox(why, self._said() or _last_lines(bytes(heard))))

    def last_words(self, reason: str) -> str:
        """Return in a sentence that the stream has ended, and why: `reason`, or what is known."""
        code = self._process.poll()
        how = reason or (_ended(code) if code is not None else "it closed the connection")
        return _told(
            f"the command {self._program!r} carries the sandbox no more: {how}", self._said()
        )

    async def end(self) -> None:
        """Close its stdin, wait for its end, and see to it that this comes."""
        self.stream.close()
        try:
            await whole(self._end)
        finally:
            self._loop.remove_reader(self._stderr)
            os.close(self._stderr)

    async def _greeting(self, heard: bytearray) -> bytes:
        """Read up to the end of what the guest says first; `heard` is all that was said."""
        start = end = -1
        while start < 0 or end < 0:
            data = await self._loop.sock_recv(self.stream, 1 << 16)
            heard += data
            if not data or len(heard) > _MOST_BEFORE:
                raise EOFError
            start = heard.find(MARK)
            end = heard.find(b"\n", start)
        return bytes(heard[start + len(MARK) : end])

    def _no_sandbox(self, why: str, said: str = "") -> str:
        return _told(f"the command {self._program!r} runs no sandbox: {why}", said)

    async def _how_it_ended(self) -> str:
        ended = await asyncio.to_thread(self._ends_within, _MERCY)
        return (
            _ended(self._process.wait())
            if ended
            else "it says too much, and nothing that a guest would"
        )

    def _end(self) -> None:
        if not self._ends_within(self._patience):
            self._signal(signal.SIGTERM)
            self._ends_within(_MERCY)
        nobody_left = select.poll()
        nobody_left.register(self._stderr, 0)  # it hangs up when the last one who could write ends
        nobody_left.poll(_REST * 1000)
        self._signal(signal.SIGKILL)  # the group lives on where somebody does
        self._process.wait()

    def _ends_within(self, seconds: float) -> bool:
        """Wait for its end, which is not taken note of yet: so its group keeps the number."""
        if self._process.returncode is not None:
            return True
        try:
            fd = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):  # only Linux has such descriptors
            return _waited(self._process, seconds)
        try:
            ended = select.poll()
            ended.register(fd, select.POLLIN)
            return bool(ended.poll(seconds * 1000))
        finally:
            os.close(fd)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, number)

    def _listen(self) -> None:
        """Keep the end of what it complains of; what there is fits into one piece."""
        try:
            data = os.read(self._stderr, 1 << 16)
        except BlockingIOError:
            return
        self._complaints = (self._complaints + data)[-_MOST_COMPLAINTS:]
        if not data:
            self._loop.remove_reader(self._stderr)  # nobody writes to it any more

    def _said(self) -> str:
        self._listen()
        return _last_lines(self._complaints)


def _waited(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _told(what: str, said: str) -> str:
    return f"{what}: {said}" if said else what


def _ended(code: int) -> str:
    if code < 0:
        return f"it was ended by signal {-code}"
    return f"it ended with exit code {code}"


def _last_lines(said: bytes) -> str:
    """Return the end of what was said as one line, without Python's prompts and control codes."""
    text = said.decode("utf-8", "replace").replace(">>> ", "")
    lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
    return " / ".join([line for line in lines if line][-_TOLD_LINES:])[-_TOLD_CHARS:]
