"""What probes look for on the host, and the marks that they leave on it: the referee outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Planted"]

_VICTIM = """
import os, signal, sys
signal.signal(signal.SIGWINCH, lambda number, frame: os._exit(7))
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(flush=True)
sys.stdin.read()
"""
"""Ends by a signal that others ignore, and with whoever started it, who may be interrupted."""
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")


class Planted:
    """Things of this user that no cell may reach, from `with` to its end.

    A file, a folder, a variable, an open descriptor, a segment of memory and a process that hold
    `secret`; listeners of TCP, UDP and Unix sockets. `told` is what the cells are told of them,
    which is where they are, not what they hold.
    """

    def __init__(self) -> None:
        self.secret = f"planted-{secrets.token_hex(12)}"
        self.told: dict[str, Any] = {}
        self._variable = f"RLM_PLANTED_{secrets.token_hex(3).upper()}"
        self._stray = f"rlm-stray-{secrets.token_hex(6)}"
        self._open = contextlib.ExitStack()
        self._listeners: dict[str, socket.socket] = {}
        self._victim: subprocess.Popen[bytes] | None = None
        self._priority = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._plant(stack)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def _plant(self, stack: contextlib.ExitStack) -> None:
        self._folder = tempfile.mkdtemp(prefix="rlm-planted-")
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._file = Path(self._folder, "secret.txt")
        self._restore()
        stack.callback(self._end_victim)
        self._start_victim()
        os.environ[self._variable] = self.secret
        stack.callback(os.environ.pop, self._variable, None)
        fd = os.open(self._file, os.O_RDONLY)
        stack.callback(os.close, fd)
        os.set_inheritable(fd, True)
        path, abstract = str(Path(self._folder, "socket")), f"\0rlm-{secrets.token_hex(6)}"
        tcp = self._listen(stack, "by TCP", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = self._listen(stack, "by UDP", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._listen(stack, "by a Unix socket", socket.AF_UNIX, socket.SOCK_STREAM, path)
        if sys.platform == "linux":
            where = "by an abstract Unix socket"
            self._listen(stack, where, socket.AF_UNIX, socket.SOCK_STREAM, abstract)
        home = Path.home() if Path.home().is_dir() else Path(self._folder)
        home_is = os.stat(home)
        self.told |= {
            "file": str(self._file),
            "folder": self._folder,
            "shared": [folder for folder in _SHARED if os.path.isdir(folder)],
            "stray": self._stray,
            "home": str(home),
            "home_is": [home_is.st_dev, home_is.st_ino],
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "socket": path,
            "abstract": abstract,
            "segment": _segment(stack, self.secret) if sys.platform == "linux" else None,
            "namespaces": _namespaces(),
        }

    def _listen(
        self, stack: contextlib.ExitStack, name: str, family: int, kind: int, where: Any
    ) -> socket.socket:
        made = stack.enter_context(socket.socket(family, kind))
        made.setblocking(False)
        made.bind(where)
        if kind == socket.SOCK_STREAM:
            made.listen()
            made.set_inheritable(True)
        self._listeners[name] = made
        return made

    def _restore(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{self._file}.moved").unlink()
        self._file.write_text(self.secret, encoding="utf-8")
        self._file.chmod(0o600)

    def _start_victim(self) -> None:
        self._victim = subprocess.Popen(
            [sys.executable, "-S", "-c", _VICTIM],
            env={self._variable: self.secret},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._victim.stdout is not None
        self._victim.stdout.readline()  # it is ready for signals
        self._priority = os.getpriority(os.PRIO_PROCESS, self._victim.pid)
        self.told["victim"] = self._victim.pid

    def _end_victim(self) -> None:
        if self._victim is not None:
            self._victim.kill()
            self._victim.communicate()

    def marks(self) -> list[str]:
        """Return the marks that were left since this was last asked, and put everything right."""
        return [*self._reached(), *self._changed(), *self._strays(), *self._signalled()]

    def _reached(self) -> list[str]:
        found = []
        for name, listener in self._listeners.items():
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(1 << 16)
                found.append(f"it reached the host {name}")
        return found

    def _changed(self) -> list[str]:
        try:
            same = self._file.read_text(encoding="utf-8", errors="replace") == self.secret
            same = same and self._file.stat().st_mode & 0o777 == 0o600
        except OSError:
            same = False
        if same:
            return []
        self._restore()
        return ["it changed a planted file"]

    def _strays(self) -> list[str]:
        found = []
        for folder in (self._folder, *_SHARED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, self._stray))
                found.append(f"it wrote into {'your folder' if folder == self._folder else folder}")
        return found

    def _signalled(self) -> list[str]:
        assert self._victim is not None
        if self._victim.poll() is not None:
            found = ["it signalled a process of yours"]
        elif os.getpriority(os.PRIO_PROCESS, self._victim.pid) != self._priority:
            found = ["it changed the priority of a process of yours"]
        else:
            return []
        self._end_victim()
        self._start_victim()
        return found


def _namespaces() -> dict[str, int]:
    """Return the numbers of the namespaces that this process is in."""
    folder = Path("/proc/self/ns")
    return {each.name: each.stat().st_ino for each in folder.glob("*")}


def _segment(stack: contextlib.ExitStack, secret: str) -> int | None:
    """Make a System V segment that holds a secret, and goes with this process at the latest."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    libc.shmdt.argtypes = [ctypes.c_void_p]
    number = libc.shmget(0, 4096, 0o600)
    place = libc.shmat(number, None, 0) if number >= 0 else None
    if place in (None, ctypes.c_void_p(-1).value):
        return None
    stack.callback(libc.shmdt, place)
    libc.shmctl(number, 0, None)  # removed when nobody is attached, and to be attached till then
    content = secret.encode()
    ctypes.memmove(place, content, len(content))
    return int(number)
