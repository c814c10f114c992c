"""What the operating system can do to confine a process, by ctypes; Linux on x86-64 and arm64.

`place` is for the zygote, before inputs arrive; `session` for each fork of it. They raise nothing:
`place` returns what it could not have, in words, and whoever needs more refuses by what is missing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from typing import Any, Sequence

__all__ = ["conceal", "limits", "place", "session"]

_PDEATHSIG, _DUMPABLE, _SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS, _AMBIENT = (
    1, 4, 22, 24, 36, 38, 47,
)  # fmt: skip
_NEWNS, _NEWIPC, _NEWUSER, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
_BENEATH, _FOLLOWING, _DATA_ONLY = 0x4000, 0x80000, 2 | 4 | 8  # no set-uid, devices, programs
_SHARED = "/dev/shm"
_ALLOW, _ERRNO, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050000, 1, 38
_THREAD = 0x00010000

_NUMBERS = {  # name: (x86-64, arm64), from the kernel's own tables
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "open_by_handle_at": (304, 265),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "pidfd_getfd": (438, 438), "mount_setattr": (442, 442),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "socketpair": (53, 199),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55),
    "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "setxattrat": (463, 463), "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_TO_OTHERS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open",
              "pidfd_send_signal")  # fmt: skip
_OWNERS = ("chown", "lchown", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
           "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
           "file_setattr")  # fmt: skip
_MODES_AND_TIMES = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat",
                    "utimensat")  # fmt: skip
_NEW_PROCESSES = ("fork", "vfork", "clone", "clone3", "execve", "execveat")

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LINUX = sys.platform == "linux"
_libc: Any = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def place(network: str = "leave", shared_mb: int = 0) -> tuple[list[str], list[str]]:
    """Confine the zygote for good: no network, no capabilities, no new privileges, no debugging.

    `network` says what to do about it: `leave` it; it is `absent`, others saw to that; `keep` it.
    With `shared_mb` shared memory gets a folder of its own, so large. Return what is missing, and
    the folders that are its own now.
    """
    if not _LINUX:
        return [f"{sys.platform} offers no confinement here beyond resource limits"], []
    missing = []
    if network == "leave" and not _leave_network():
        missing.append("network namespace (sockets are refused by seccomp where that works)")
    own = [_SHARED] if shared_mb and _mount_shared(shared_mb) else []
    if not _drop_capabilities():
        missing.append("dropped capabilities")
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append("no_new_privs")
    _libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    conceal()
    allowed = {*_TO_OTHERS, *_NEW_PROCESSES, *_OWNERS, *_MODES_AND_TIMES, "socketpair"}
    if network == "keep":
        allowed.add("socket")
    refused = [name for name in _NUMBERS if name not in allowed]
    if not _filter(_refusals(refused)):
        missing.append("seccomp")
    return missing, own


def conceal() -> None:
    """Let no other process, but root's, look into this one: its memory, its descriptors."""
    if _LINUX:
        _libc.prctl(_DUMPABLE, 0, 0, 0, 0)


def session(parent: int, processes: int, fenced: bool = False) -> None:
    """Confine a session further: it dies with its parent, signals only itself, starts nothing.

    With `fenced` it also changes no file's mode, times or owner, which Landlock leaves open.
    """
    if not _LINUX:
        return
    _libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    program = _signals(parent, processes)
    if not processes:
        program += _refusals(["fork", "vfork", "execve", "execveat"])
        program += _clone_only_threads()
    if fenced:
        program += _refusals(_OWNERS) + _refusals(_MODES_AND_TIMES, 0) + _no_letters()
    _filter(program)


def limits(memory_mb: int | None, file_mb: int) -> None:
    """Set resource limits: `memory_mb` beyond what is mapped now, files of `file_mb`, no core."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, file_mb << 20)
    _lower(resource.RLIMIT_NOFILE, 1024)
    if memory_mb is not None:
        _lower(resource.RLIMIT_DATA, _mapped() + (memory_mb << 20))


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _mapped() -> int:
    """Return the bytes of private data that are mapped, as RLIMIT_DATA counts them."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 256 << 20


def _leave_network() -> bool:
    """Move to namespaces of our own for the network and for System V objects."""
    if os.geteuid() == 0 and not _libc.unshare(_NEWNET | _NEWIPC):
        return True
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWUSER | _NEWNET | _NEWIPC):
        return False
    try:
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(content)
    except OSError:
        pass  # without a map we are nobody in there, which is no less confined
    return True


def _mount_shared(size_mb: int) -> bool:
    """Mount a /dev/shm that nobody else sees; locks between processes need one."""
    if _libc.unshare(_NEWNS) or _libc.mount(b"none", b"/", None, _BENEATH | _FOLLOWING, None):
        return False
    options = f"size={size_mb}m,mode=1777".encode()
    return not _libc.mount(b"tmpfs", _SHARED.encode(), b"tmpfs", _DATA_ONLY, options)


def _drop_capabilities() -> bool:
    for capability in range(64):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0):
            break
    _libc.prctl(_AMBIENT, 4, 0, 0, 0)
    header = struct.pack("II", 0x20080522, 0)
    return not _libc.capset(header, struct.pack("6I", 0, 0, 0, 0, 0, 0))


def _number(name: str) -> int | None:
    machine = _MACHINES.get(os.uname().machine)
    return None if machine is None else _NUMBERS[name][machine[0]]


def _refusals(names: Sequence[str], error: int = _EPERM) -> bytes:
    """Return the instructions that refuse these calls; with 0 they do nothing, and say so not."""
    program = b""
    for number in (_number(name) for name in names):
        if number is not None:
            program += _op(0x15, 0, 1, number) + _op(0x06, 0, 0, _ERRNO | error)
    return program


def _no_letters() -> bytes:
    """Return the instructions that refuse pairs of datagram sockets: such can write to others."""
    program = _op(0x15, 0, 5, _number("socketpair") or 0) + _op(0x20, 0, 0, 24)
    program += _op(0x54, 0, 0, 0xF) + _op(0x15, 0, 1, 2)
    return program + _op(0x06, 0, 0, _ERRNO | _EPERM) + _op(0x06, 0, 0, _ALLOW)


def _signals(parent: int, processes: int) -> bytes:
    """Return the instructions that let signals reach nobody else, or no elder with `processes`."""
    own, program = os.getpid(), b""
    for name in _TO_OTHERS:
        number = _number(name)
        if name.startswith("pidfd") or name == "tkill":
            program += _refusals([name])
        elif number is not None and not processes:
            program += _op(0x15, 0, 5, number) + _op(0x20, 0, 0, 16)
            program += _op(0x15, 1, 0, own) + _op(0x06, 0, 0, _ERRNO | _EPERM)
            program += _op(0x06, 0, 0, _ALLOW) + _op(0x06, 0, 0, _ALLOW)
        elif number is not None:
            program += _op(0x15, 0, 5, number) + _op(0x20, 0, 0, 16)
            program += _op(0x15, 1, 0, parent) + _op(0x35, 0, 1, 0x80000000)
            program += _op(0x06, 0, 0, _ERRNO | _EPERM) + _op(0x06, 0, 0, _ALLOW)
    return program


def _clone_only_threads() -> bytes:
    """Return the instructions that let `clone` make threads only; libc falls back from clone3."""
    clone, clone3 = _number("clone"), _number("clone3")
    program = _op(0x15, 0, 1, clone3 or 0) + _op(0x06, 0, 0, _ERRNO | _ENOSYS)
    program += _op(0x15, 0, 3, clone or 0) + _op(0x20, 0, 0, 16)
    program += _op(0x45, 1, 0, _THREAD) + _op(0x06, 0, 0, _ERRNO | _EPERM)
    return program


def _op(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _filter(body: bytes) -> bool:
    """Install a seccomp filter: other architectures and x32 are refused, then `body` decides."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    head = _op(0x20, 0, 0, 4) + _op(0x15, 1, 0, machine[1]) + _op(0x06, 0, 0, _ERRNO | _EPERM)
    head += _op(0x20, 0, 0, 0) + _op(0x35, 0, 1, 0x40000000) + _op(0x06, 0, 0, _ERRNO | _EPERM)
    whole = head + body + _op(0x06, 0, 0, _ALLOW)
    program = _Program(len(whole) // 8, whole)
    return not _libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0)
