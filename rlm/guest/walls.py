"""What holds the sessions of a place in, built once by its zygote; what holds, and what lacks."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
from typing import Any, Mapping

from . import confine, namespaces, readable, seccomp
from .landlock import Fence

__all__ = ["Walls"]

_SCRATCH = "/sandbox"
_SHARED = "/dev/shm"
_FLAGS_OF, _UP = 0x8913, 1  # SIOCGIFFLAGS, IFF_UP
_FILES = 256
"""Files that a session may have open; sockets and pipes among them hold memory of the kernel."""
_ALONE = "no other process is in sight"


class Walls:
    """The walls of one place, which its zygote stands within from now on.

    Options are those of the `bind` message: `separate` asks for namespaces and a root of its own,
    `fence` for Landlock, `network` leaves the network as it is. `scratch` is where sessions have
    their folders, `shared` a folder that all of them may write into, where there is one. It raises
    nothing for what a kernel does not offer: `words` says for each wall what holds, `missing` has
    in sentences what does not.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._network = bool(options["network"])
        self._programs = bool(options["processes"])
        self._fence: Fence | None = None
        self._filtered = self._bounded = self._rooted = self._is_root = False
        self._filter = b""
        self._open_files = 0
        self._tasks = 2 + (options["processes"] or options["threads"])  # with a thread of the guest
        self._own: frozenset[str] = frozenset()
        self.scratch = str(options["scratch"])
        self.shared = ""
        self.sees_children = True
        self.words: dict[str, str] = {}
        self.missing: list[str] = []
        if sys.platform == "linux":
            confine.one_arena()
            self._build()
        self._describe()

    def count_descriptors(self) -> None:
        """Note up to which number files are open that sessions have from here."""
        try:
            self._open_files = 1 + max(map(int, os.listdir("/proc/self/fd")))
        except OSError:
            self._open_files = 1024  # there is no /proc: what is open lies below this, as a rule

    def enter(self, folder: str, parent: int) -> None:
        """Hold in a session, forked by the zygote `parent`; it may write into `folder` only.

        It raises OSError where a wall that held the zygote does not hold the session.
        """
        options = self._options
        if sys.platform == "linux":
            if self._bounded:
                _must(namespaces.bounded(self._tasks), "a bound on tasks")
                confine.drop_capabilities()
            confine.conceal()
            confine.die_with(parent)
        files = self._open_files + _FILES
        confine.limits(options["memory_mb"], options["scratch_mb"], options["cpu_seconds"], files)
        if self._fence is not None:
            os.environ["TMPDIR"] = folder
            self._fence.enter(folder)
        if self._filtered:
            _must(seccomp.install(self._filter), "seccomp")

    def _build(self) -> None:
        if self._options["separate"]:
            self._own = namespaces.separate(self._network)
        if "pid" in self._own:
            namespaces.become_first()
        self._rooted = "mount" in self._own and self._make_root()
        self.sees_children = self._rooted or "pid" not in self._own
        self._open_network = not self._network and "network" not in self._own and _connected()
        if self._rooted:
            self.shared = _SHARED if self._programs else ""
            confine.become_nobody()
        self._is_root = confine.is_root()
        self._bounded = bool(self._own) and _can_be_bounded()
        confine.drop_capabilities()
        if "pid" in self._own:
            confine.die_with(0)  # who waits outside; another user has forgotten it
        self._no_gain = confine.give_up_privileges()
        confine.conceal()
        if self._options["fence"]:
            shared = [self.shared] if self.shared else []
            self._fence = Fence(self.scratch, shared, self._programs, self._allowed())
        fenced = self._fence is not None and self._fence.holds
        self._filter = seccomp.of_session(os.getpid(), self._programs, fenced)
        self._filtered = seccomp.install(seccomp.of_place(self._network))

    def _allowed(self) -> list[str]:
        return [*readable.tables(self._network), *self._options["allow_read"]]

    def _make_root(self) -> bool:
        """Build a root that has what cells may read, and their scratch; enter it."""
        root = namespaces.Root(self.scratch)
        try:
            if root.stands and self._furnish(root) and root.enter():
                self.scratch = _SCRATCH
                return True
        except OSError:
            pass  # this kernel offers a part of it only
        root.leave()
        return False

    def _furnish(self, root: namespaces.Root) -> bool:
        programs = readable.PROGRAMS if self._programs else ()
        root.bind([*readable.libraries(), *self._allowed(), *readable.DEVICES, *programs])
        root.hide(readable.packages([*self._options["path"], *self._options["allow_read"]]))
        folders = [_SCRATCH, *([_SHARED] if self._programs else [])]
        root.prepare(folders)
        if not (root.stands and root.processes() and root.seal()):
            return False
        return all(root.memory(folder, self._options["scratch_mb"]) for folder in folders)

    def _describe(self) -> None:
        if sys.platform == "linux":
            self._describe_kernel()
        else:
            self._describe_elsewhere()
        options = self._options
        whose = "process" if self._programs else "session"
        bound = f"{options['memory_mb']} MB a {whose} beyond the inputs"
        self.words["memory"] = "all there is" if options["memory_mb"] is None else bound
        seconds = options["cpu_seconds"]
        self.words["cpu"] = f"{seconds} s a session" if seconds else "the time of a cell"
        self.words["descriptors"] = f"{_FILES} a session, none inherited"

    def _describe_elsewhere(self) -> None:
        """Without Linux there may be a seatbelt: whether there is one is found out by trying."""
        self.words["files"] = "seatbelt: reads the interpreter, writes the scratch of its place"
        self.words["network"] = "none: seatbelt"
        if _can_write(os.path.dirname(self.scratch)):
            self.words["files"] = "not confined"
            self.missing.append("a wall around files: cells can use those that this user can")
        if not self._network and _can_connect():
            self.words["network"] = "the host's"
            self.missing.append("a wall around the network: cells can use it")
        self.words["processes"] = "as many as this user can have"
        self.missing.append(
            f"what Linux offers, on {sys.platform}: sessions of a run are not apart, processes and"
            " signals not confined, memory bounded only where the system counts it"
        )

    def _describe_kernel(self) -> None:
        self._describe_files()
        self._describe_processes()
        refused = "sockets refused" if self._filtered else ""
        if self._network:
            self.words["network"] = "the host's, as asked: internet sockets only"
        elif self._open_network:
            self.words["network"] = refused or "the host's"
            self.missing.append(
                "a network namespace: "
                + (f"{refused} by seccomp" if refused else "cells can use the network")
            )
        else:
            self.words["network"] = ", ".join(filter(None, ["none", refused]))
        self._describe_privileges()

    def _describe_files(self) -> None:
        outside = os.statvfs("/").f_flag & os.ST_RDONLY
        words = ["a root of its own"] if self._rooted else ["a read-only root"] if outside else []
        if self._fence is not None:
            words.append(self._fence.words)
            self.missing += self._fence.missing
        self.words["files"] = "; ".join(words) or "not confined"
        if self._options["separate"] and not self._rooted:
            self.missing.append("a root of its own: cells can see which files exist")
        disk = os.statvfs(self.scratch)
        size = disk.f_blocks * disk.f_frsize >> 20
        if size <= self._options["scratch_mb"]:
            self.words["disk"] = f"{size} MB for all sessions, in memory"
        else:
            self.words["disk"] = f"files of {self._options['scratch_mb']} MB each"
            self.missing.append("a bound on all files of a session together")

    def _describe_processes(self) -> None:
        options = self._options
        only_threads = self._filtered and not self._programs
        what = "threads" if only_threads else "processes and threads"
        most = options["processes"] or options["threads"]
        tasks = f"{most} {what} a session" if self._bounded else f"{what} as memory allows"
        self.words["processes"] = f"none can be started; {tasks}" if only_threads else tasks
        if not self._bounded and (self._programs or options["separate"]):
            self.missing.append(f"a bound on the number of {what}")
        alone = "pid" in self._own or os.getpid() <= 2
        reached = "its own processes" if self._programs else "itself"
        if self._programs and not (self._fence is not None and self._fence.scoped):
            reached = "the processes of its run"
            self.missing.append("Landlock of abi 6: sessions with processes can signal each other")
        self.words["signals"] = f"reach {reached} only" + (f"; {_ALONE}" if alone else "")
        if self._options["separate"] and not alone:
            self.missing.append("a namespace of process numbers: others are in sight")

    def _describe_privileges(self) -> None:
        words = [f"user {os.geteuid()}"]
        if self._is_root:
            self.missing.append("an ordinary user: cells run as root, without its capabilities")
        if confine.has_capabilities():
            self.missing.append("dropped capabilities")
        else:
            words.append("no capabilities")
        if self._no_gain:
            words.append("no new privileges")
        else:
            self.missing.append("no_new_privs")
        self.words["privileges"] = ", ".join(words)
        if self._filtered:
            self.words["system_calls"] = "seccomp allows those that cells need"
        else:
            self.words["system_calls"] = "all"
            self.missing.append("seccomp")
        if self._own:
            self.words["namespaces"] = ", ".join(sorted(self._own))


def _can_write(folder: str) -> bool:
    path = os.path.join(folder, f"rlm-wall-{os.getpid()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    os.unlink(path)
    return True


def _can_connect() -> bool:
    """Whether a connection is refused by nobody being there, and not by a wall."""
    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            probe.connect(("127.0.0.1", 9))
        except PermissionError:
            return False
        except OSError:
            return True
    return True


def _must(done: bool, what: str) -> None:
    if not done:
        raise OSError(f"{what} does not hold this session")


def _can_be_bounded() -> bool:
    """Whether sessions can be counted apart, in user namespaces; tried by a fork too many."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if namespaces.bounded(1) and _is_refused() else 1)
    return os.waitpid(pid, 0)[1] == 0


def _is_refused() -> bool:
    """Whether this process can fork no more."""
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError:
        return True
    return False


def _connected() -> bool:
    """Whether there is an interface that is up, beside the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("16s240x", name.encode()[:15])
            flags = struct.unpack_from("16xH", fcntl.ioctl(probe, _FLAGS_OF, request))[0]
            if flags & _UP and name != "lo":
                return True
    return False
