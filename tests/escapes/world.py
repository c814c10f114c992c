"""What a referee plants around a cell, and how it tells which harm was done to it."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .victim import Victim

__all__ = ["ENVIRONMENT", "World"]

ENVIRONMENT = "RLM_ESCAPE_KEY"
"""The variable of the host's environment that no cell may see."""
MEMORY = "the host's memory"
_FD = 777


class World:
    """Planted files, listeners, a process, and secrets in all places that a cell should not reach.

    `facts` is what a cell is told as `host`. It is made before anything else, since it forks.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self._victim = Victim(self._secret("the memory of a process"))
        self.folder = tempfile.mkdtemp(prefix="escape-")
        os.chmod(self.folder, 0o755)
        self._planted = os.path.join(self.folder, "planted")
        self.secrets["the environment"] = os.environ[ENVIRONMENT]
        self._memory = f"HOST-MEMORY={self._secret(MEMORY)}".encode()
        self._listeners = _Listeners(self.folder)
        self._shared = _Shared(self._secret("shared memory"))
        self._descriptor()
        self._plant()
        self._state = _machine()
        self.nonce = ""
        self.next()

    def next(self) -> None:
        """Begin a case: its word and its mark are new."""
        self.nonce = os.urandom(8).hex()
        self.marker = f"esc{self.nonce[:10]}"

    @property
    def facts(self) -> dict[str, Any]:
        """Return what a cell is told."""
        return {
            "nonce": self.nonce,
            "marker": self.marker,
            "folder": self._planted,
            "secret_file": f"{self._planted}/secret.txt",
            "open_file": f"{self._planted}/open.txt",
            "inner": f"{self._planted}/inner",
            "fd": self._fd,
            "pid": self._victim.pid,
            "address": self._victim.address,
            "victim_fd": self._victim.fd,
            "host_pid": os.getpid(),
            "stdlib": os.path.dirname(os.__file__),
            **self._listeners.facts,
            **self._shared.facts,
        }

    def harms(self, said: str) -> list[str]:
        """Return what happened since the last call, and mend it; `said` is the cell's output."""
        found = [f"it read {what}" for what, secret in self.secrets.items() if secret in said]
        if "won:" + self.nonce[::-1] in said:
            found.append("it did what it tried")
        found += self._listeners.reached()
        found += self._victim.suffered()
        if self._print() != self._fingerprint:
            found.append("planted files changed")
            self._plant()
        if self._shared.changed():
            found.append("shared memory changed")
        now = _machine()
        if now != self._state:
            found.append("the host's own state changed")
            self._state = now
        return found

    def left_alive(self) -> list[str]:
        """Return the processes that bear the mark of this case, after ending them."""
        found = list(_marked(self.marker))
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return ["a process of the cell lives on"] if found else []

    def close(self) -> None:
        """Take everything away again."""
        self._victim.close()
        self._listeners.close()
        self._shared.close()
        os.close(self._fd)
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """In a fork that becomes a cell: keep only what a careless host would hand on."""
        self._listeners.close()
        self._victim.release()

    def _secret(self, what: str) -> str:
        self.secrets[what] = os.urandom(12).hex()
        return self.secrets[what]

    def _descriptor(self) -> None:
        secret = self._secret("an inherited descriptor")
        made = os.memfd_create("secret")
        os.write(made, f"{secret}\n".encode())
        self._fd = fcntl.fcntl(made, fcntl.F_DUPFD, _FD)  # which programs inherit
        os.close(made)

    def _plant(self) -> None:
        shutil.rmtree(self._planted, ignore_errors=True)
        os.makedirs(f"{self._planted}/inner/{self._secret('a name in a folder')}")
        for path in (self._planted, f"{self._planted}/inner"):
            os.chmod(path, 0o777)
        for name, text in (
            ("secret.txt", f"KEY={self._secret('a file')}\n"), ("open.txt", "untouched\n" * 10),
        ):  # fmt: skip
            path = os.path.join(self._planted, name)
            Path(path).write_text(text, encoding="ascii")
            os.chmod(path, 0o666)
            stamp = int.from_bytes(os.urandom(5), "big") * 997
            os.utime(path, ns=(stamp, stamp))
            self.secrets[f"the times of {name}"] = str(stamp)
        try:
            os.setxattr(f"{self._planted}/open.txt", "user.key", self._secret("xattr").encode())
        except OSError:
            del self.secrets["xattr"]  # not every file system has them
        for path in (self._planted, f"{self._planted}/inner"):
            os.utime(path, ns=(10**18, 10**18))
        self._fingerprint = self._print()

    def _print(self) -> list[Any]:
        return [_facts_of(path) for path in _walk(self._planted)]


def _walk(top: str) -> Iterator[str]:
    yield top
    for folder, folders, files in os.walk(top):
        for name in sorted(folders + files):
            yield os.path.join(folder, name)


def _facts_of(path: str) -> Any:
    try:
        stat = os.lstat(path)
        content = b""
        if os.path.isfile(path) and not os.path.islink(path):
            content = Path(path).read_bytes()
    except OSError as error:
        return (path, str(error))
    times = stat.st_mtime_ns
    digest = hashlib.sha256(content).hexdigest()
    return (path, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_nlink, times, digest, _x(path))


def _x(path: str) -> Any:
    try:
        return sorted((name, os.getxattr(path, name)) for name in os.listxattr(path))
    except OSError:
        return None


def _machine() -> Any:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        # what engines mount for containers of others comes and goes
        mounts = [line for line in file if "overlay" not in line and "/netns/" not in line]
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read()
    return (os.uname().nodename, os.getcwd(), os.getpriority(os.PRIO_PROCESS, 0), pattern, mounts)


def _marked(marker: str) -> Iterator[int]:
    own = os.getpid()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == own:
            continue
        try:
            said = Path(f"/proc/{entry}/comm").read_bytes()
            said += Path(f"/proc/{entry}/cmdline").read_bytes()
            state = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if marker.encode() in said and state not in (b"Z", b"X"):
            yield int(entry)


class _Listeners:
    """Sockets of the host that nobody else may reach."""

    def __init__(self, folder: str) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self.facts: dict[str, Any] = {}
        abstract = f"escape-{os.urandom(6).hex()}"
        for name, family, kind, address in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            ("udp6", socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 0)),
            ("unix", socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/stream"),
            ("unix_datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/datagram"),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{abstract}-s"),
            ("abstract_datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{abstract}-d"),
        ):
            sock = socket.socket(family, kind)
            sock.bind(address)
            sock.setblocking(False)
            if kind == socket.SOCK_STREAM:
                sock.listen(16)
            if isinstance(address, str) and not address.startswith("\0"):
                os.chmod(address, 0o777)
            self._sockets[name] = sock
            name_of_it = sock.getsockname()
            self.facts[name] = address if isinstance(address, str) else name_of_it[1]

    def reached(self) -> list[str]:
        """Return which of them somebody has spoken to."""
        found = []
        for name, sock in self._sockets.items():
            while self._one(sock):
                found.append(f"the host's listener was reached: {name}")
        return list(dict.fromkeys(found))

    def _one(self, sock: socket.socket) -> bool:
        try:
            if sock.type == socket.SOCK_STREAM:
                sock.accept()[0].close()
            else:
                sock.recv(4096)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close them in this process."""
        for sock in self._sockets.values():
            sock.close()


class _Shared:
    """Memory that processes of this user share by name: a file of /dev/shm, a System V segment."""

    def __init__(self, secret: str) -> None:
        self._path = f"/dev/shm/escape-{os.urandom(6).hex()}"
        self._content = f"SHM={secret}\n".encode()
        Path(self._path).write_bytes(self._content)
        os.chmod(self._path, 0o666)
        self._libc = ctypes.CDLL(None)
        self._libc.shmat.restype = ctypes.c_void_p
        self._key = int.from_bytes(os.urandom(3), "big") + 1
        self._id = self._libc.shmget(self._key, 4096, 0o1666)
        self._at = self._libc.shmat(self._id, None, 0)
        ctypes.memmove(self._at, self._content, len(self._content))
        self.facts = {"shm_file": self._path, "shm_key": self._key, "shm_id": self._id}

    def changed(self) -> bool:
        """Whether somebody has written there; it is as before afterwards."""
        try:
            found = Path(self._path).read_bytes()
        except OSError as error:
            found = str(error).encode()
        segment = ctypes.string_at(self._at, len(self._content))
        if found == segment == self._content:
            return False
        Path(self._path).write_bytes(self._content)
        ctypes.memmove(self._at, self._content, len(self._content))
        return True

    def close(self) -> None:
        """Remove both."""
        self._libc.shmctl(self._id, 0, None)
        Path(self._path).unlink(missing_ok=True)
