"""Which system calls a guest is refused, by seccomp; Linux on x86-64 and arm64."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Any, Iterable, Sequence

__all__ = ["install", "of_place", "of_session"]

_NUMBERS = {  # name: (x86-64, arm64), from the kernel's own tables
    # what reaches other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # what reaches the machine
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "syslog": (103, 116), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "vhangup": (153, 58), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
    "uselib": (134, None), "_sysctl": (156, None), "sysfs": (139, None), "ustat": (136, None),
    "personality": (135, 92),
    # parts of the kernel that no cell needs, and that had many holes
    "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    # requests of which the whole machine has so many
    "io_setup": (206, 0), "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3),
    "io_getevents": (208, 4), "io_pgetevents": (333, 292),
    # memory that no limit of a process counts
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # what sessions may, or may in part
    "socket": (41, 198), "socketpair": (53, 199), "unshare": (272, 97),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "mmap": (9, 222), "prctl": (157, 167),
    "fcntl": (72, 25), "ioctl": (16, 29), "flock": (73, 32), "sync": (162, 81),
    "syncfs": (306, 267), "prlimit64": (302, 261), "setsockopt": (54, 208),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55),
    "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "setxattrat": (463, 463), "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_NEWEST = 469
"""The last call that this table knows of: newer ones are refused as unknown."""

_NEVER = tuple(_NUMBERS)[: tuple(_NUMBERS).index("memfd_create")]
_UNCOUNTED = ("memfd_create", "memfd_secret", "shmget", "shmat", "semget", "msgget", "mq_open")
_OWNERS = ("chown", "lchown", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
           "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
           "file_setattr")  # fmt: skip
_MODES_AND_TIMES = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat",
                    "utimensat")  # fmt: skip
_SIGNALS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_OTHER_SIGNALS = ("tkill", "pidfd_open", "pidfd_send_signal")

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOTTY, _ENOSYS, _EAFNOSUPPORT = 1, 25, 38, 97
_THREAD, _NAMESPACES = 0x00010000, 0x7E020080
_INTERNET = (2, 10)
_SHARED, _ANONYMOUS = 0x01, 0x20
_DESCRIPTOR_CALLS = (0, 1, 2, 3, 5, 9, 11, 36, 1030, 1032, 1033, 1034)
"""What `fcntl` may do: duplicate, look, seal. Not: signals to an owner, leases, sizes of pipes."""
_FLAGS = 4
_LOCKS = (6, 7, 37, 38)
_SHARED_FLAGS = 0x2000 | 0x4000 | 0x10000 | 0x40000
"""O_ASYNC, O_DIRECT (of both machines), O_NOATIME: others have the same open file."""
_BUFFER_SIZES = (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF, and both by force
_LOOKS = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""What `ioctl` may do: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_OWN = 0x7A5A5A5A
"""Stands for the number of the process that installs a filter: no process has so high a one."""
_LIFE = (1, 4, 36)  # PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER

_LOAD, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _AND, _RETURN = (
    0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06,
)  # fmt: skip
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_SECCOMP = 22

_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def of_place(network: bool) -> bytes:
    """Return the filter of a zygote and all that it starts; `network` leaves internet sockets."""
    program = _op(_ABOVE, 0, 1, _NEWEST) + _fail(_ENOSYS) + _refuse(_NEVER)
    program += _when("clone", 0, _ANY_BIT, [_NAMESPACES])
    program += _refuse(["clone3"], _ENOSYS)  # its flags cannot be seen here; libc does without
    program += _unless("prlimit64", 0, [0], _EPERM)  # limits of others are theirs
    return program + (_unless("socket", 0, _INTERNET) if network else _refuse(["socket"]))


def of_session(parent: int, processes: bool, fenced: bool) -> bytes:
    """Return the filter of sessions whose zygote is `parent`, for `install` in each of them.

    Without `processes` it starts nothing but threads. With `fenced` it also changes no file's
    mode, times or owner, which Landlock leaves open.
    """
    program = _refuse(["unshare", *_UNCOUNTED, *_OTHER_SIGNALS])
    program += _when("prctl", 0, _EQUAL, _LIFE) + _when("setsockopt", 2, _EQUAL, _BUFFER_SIZES)
    program += _only_harmless_fcntl() + _unless("ioctl", 1, _LOOKS, _ENOTTY)
    program += _refuse(["flock", "sync", "syncfs"], 0) + _no_shared_memory()
    if processes:
        for name in _SIGNALS:
            program += _when(name, 0, _EQUAL, [parent], _op(_AT_LEAST, 0, 1, 1 << 31))
    else:
        for name in _SIGNALS:
            program += _unless(name, 0, [_OWN], _EPERM)
        program += _refuse(["fork", "vfork", "execve", "execveat"]) + _only_threads()
    if fenced:
        program += _refuse(_OWNERS) + _refuse(_MODES_AND_TIMES, 0)
        program += _when("socketpair", 1, _EQUAL, [2], mask=0xF)  # datagrams can go to others
    return program


def install(body: bytes) -> bool:
    """Hold this process in by a filter; calls of another architecture or of x32 are refused."""
    machine = _machine()
    if machine is None:
        return False
    body = body.replace(struct.pack("I", _OWN), struct.pack("I", os.getpid()))
    head = _op(_LOAD, 0, 0, _MACHINE_AT) + _op(_EQUAL, 1, 0, machine[1]) + _fail(_EPERM)
    head += _op(_LOAD, 0, 0, _NUMBER_AT) + _op(_AT_LEAST, 0, 1, 0x40000000) + _fail(_EPERM)
    whole = head + body + _op(_RETURN, 0, 0, _ALLOW)
    program = _Program(len(whole) // 8, whole)
    return not _libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _machine() -> tuple[int, int] | None:
    return _MACHINES.get(os.uname().machine) if _libc is not None else None


def _number(name: str) -> int | None:
    machine = _machine()
    return None if machine is None else _NUMBERS[name][machine[0]]


def _op(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _fail(error: int) -> bytes:
    return _op(_RETURN, 0, 0, _ERRNO | error)


def _refuse(names: Iterable[str], error: int = _EPERM) -> bytes:
    """Return what refuses these calls; with 0 they do nothing, and do not say so."""
    numbers = (_number(name) for name in names)
    return b"".join(
        _op(_EQUAL, 0, 1, number) + _fail(error) for number in numbers if number is not None
    )


def _on(name: str, argument: int, tests: bytes, mask: int | None = None) -> bytes:
    """Return what runs `tests` on an argument's lower half when `name` is called; then allows."""
    number = _number(name)
    if number is None:
        return b""
    body = _op(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)
    body += (_op(_AND, 0, 0, mask) if mask is not None else b"") + tests
    body += _op(_RETURN, 0, 0, _ALLOW)
    return _op(_EQUAL, 0, len(body) // 8, number) + body


def _when(
    name: str, argument: int, test: int, values: Sequence[int], more: bytes = b"",
    mask: int | None = None,
) -> bytes:  # fmt: skip
    """Return what refuses a call when the test holds for one of `values`, or `more` does."""
    tests = b"".join(_op(test, 0, 1, value) + _fail(_EPERM) for value in values)
    return _on(name, argument, tests + (more + _fail(_EPERM) if more else b""), mask)


def _unless(name: str, argument: int, values: Sequence[int], error: int = _EAFNOSUPPORT) -> bytes:
    """Return what refuses a call unless the argument is one of `values`."""
    left = len(values)
    tests = b"".join(_op(_EQUAL, left - place, 0, value) for place, value in enumerate(values))
    return _on(name, argument, tests + _fail(error))


def _only_harmless_fcntl() -> bytes:
    """Return what lets `fcntl` touch only what is a session's own; locks do nothing.

    An open file is shared by all sessions of a place, and may be one of the host's.
    """
    allowed = _op(_RETURN, 0, 0, _ALLOW)
    tests = b"".join(_op(_EQUAL, 0, 1, call) + allowed for call in _DESCRIPTOR_CALLS)
    tests += b"".join(_op(_EQUAL, 0, 1, call) + _fail(0) for call in _LOCKS)
    tests += _op(_EQUAL, 1, 0, _FLAGS) + _fail(_EPERM)
    tests += _op(_LOAD, 0, 0, _ARGUMENTS_AT + 16) + _op(_ANY_BIT, 0, 1, _SHARED_FLAGS)
    return _on("fcntl", 1, tests + _fail(_EPERM))


def _only_threads() -> bytes:
    """Return what lets `clone` make threads only."""
    tests = _op(_ANY_BIT, 1, 0, _THREAD) + _fail(_EPERM)
    return _on("clone", 0, tests)


def _no_shared_memory() -> bytes:
    """Return what refuses memory that is both shared and anonymous: no limit counts it."""
    tests = _op(_AND, 0, 0, _SHARED | _ANONYMOUS) + _op(_EQUAL, 0, 1, _SHARED | _ANONYMOUS)
    return _on("mmap", 3, tests + _fail(_EPERM))
