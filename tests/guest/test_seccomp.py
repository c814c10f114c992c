"""The filters, interpreted as the kernel does it, for both machines that they are written for."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from rlm.guest import seccomp
from rlm.guest.syscalls import FREE, NEVER, NUMBERS, SOME

ALLOWED, EPERM, ENOTTY, ENOSYS = None, 1, 25, 38
PARENT = 4242
PLACES = {"x86_64": 0, "aarch64": 1}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.fixture(params=sorted(PLACES))
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=name))
    monkeypatch.setattr(seccomp, "_libc", object())
    return name


def whole(body: bytes, machine: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the program that `install` hands to the kernel."""
    handed: list[bytes] = []
    real = seccomp._Program

    def program(length: int, instructions: bytes) -> object:
        handed.append(instructions)
        return real(length, instructions)

    class Kernel:
        def prctl(self, *args: object) -> int:
            return 0

    monkeypatch.setattr(seccomp, "_Program", program)
    monkeypatch.setattr(seccomp, "_libc", Kernel())
    assert seccomp.install(body)
    return handed[0]


def verdict(program: bytes, machine: str, number: int, *arguments: int) -> int | None:
    """Return the error that a call gets, or None where it is allowed."""
    fields = struct.pack(
        "=iIQ6Q", number, ARCHITECTURES[machine], 0, *arguments, *[0] * (6 - len(arguments))
    )
    code, accumulator, place = list(struct.iter_unpack("HBBI", program)), 0, 0
    tests: dict[int, Callable[[int, int], bool]] = {
        0x15: lambda a, k: a == k,
        0x25: lambda a, k: a > k,
        0x35: lambda a, k: a >= k,
        0x45: lambda a, k: bool(a & k),
    }
    while True:
        kind, yes, no, value = code[place]
        place += 1
        if kind == 0x20:
            accumulator = struct.unpack_from("I", fields, value)[0]
        elif kind == 0x54:
            accumulator &= value
        elif kind == 0x05:
            place += value
        elif kind in tests:
            place += yes if tests[kind](accumulator, value) else no
        elif kind == 0x06:
            return ALLOWED if value == 0x7FFF0000 else value & 0xFFFF
        else:
            raise AssertionError(f"no such instruction: {kind:#x}")


def numbers(machine: str) -> dict[str, int]:
    table = {name: pair[PLACES[machine]] for name, pair in NUMBERS.items()}
    return {name: number for name, number in table.items() if number is not None}


def test_a_place_is_refused_what_nobody_needs(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = numbers(machine)
    program = whole(seccomp.of_place(False), machine, monkeypatch)
    refused = {number for number in range(1024) if verdict(program, machine, number, 0)}
    never = {known[name] for name in NEVER if name in known}
    assert never | {known["socket"], known["clone3"]} | set(range(470, 1024)) == refused
    assert verdict(program, machine, known["clone"], 0x10000000) == EPERM
    assert verdict(program, machine, known["clone"], 0x003D0F00) is ALLOWED  # a thread
    assert verdict(program, machine, known["clone3"]) == ENOSYS
    assert verdict(program, machine, 470) == ENOSYS
    assert verdict(program, machine, known["prlimit64"], 1) == EPERM
    assert verdict(program, machine, known["prlimit64"], 0) is ALLOWED


def test_with_the_network_only_internet_sockets_are_allowed(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = whole(seccomp.of_place(True), machine, monkeypatch)
    families = [
        n for n in range(64) if verdict(program, machine, numbers(machine)["socket"], n) is ALLOWED
    ]
    assert families == [2, 10]


@pytest.mark.parametrize("processes", [False, True])
def test_signals_reach_whom_they_may(
    machine: str, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, own = numbers(machine), os.getpid()
    program = whole(seccomp.of_session(PARENT, processes, True), machine, monkeypatch)
    for name in seccomp._SIGNALS:
        assert verdict(program, machine, known[name], own) is ALLOWED
        for other in (PARENT, 0xFFFFFFFF, 0xFFFFFFFF - PARENT + 1):  # -1, and its group
            assert verdict(program, machine, known[name], other) == EPERM
        assert verdict(program, machine, known[name], 7) == (ALLOWED if processes else EPERM)
    for name in seccomp._OTHER_SIGNALS:
        assert verdict(program, machine, known[name], own) == EPERM


def test_a_session_starts_threads_and_nothing_else(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = numbers(machine)
    program = whole(seccomp.of_session(PARENT, False, True), machine, monkeypatch)
    for name in ("fork", "vfork", "execve", "execveat", "unshare", "memfd_create", "shmget"):
        if name in known:
            assert verdict(program, machine, known[name]) == EPERM
    assert verdict(program, machine, known["clone"], 0x003D0F00) is ALLOWED
    assert verdict(program, machine, known["clone"], 17) == EPERM  # SIGCHLD: a process
    shared, private = 0x21, 0x22
    assert verdict(program, machine, known["mmap"], 0, 0, 0, shared) == EPERM
    assert verdict(program, machine, known["mmap"], 0, 0, 0, private) is ALLOWED
    assert verdict(program, machine, known["mmap"], 0, 0, 0, 0x01) is ALLOWED  # of a file
    assert verdict(program, machine, known["prctl"], 1) == EPERM
    assert verdict(program, machine, known["prctl"], 15) is ALLOWED  # its name
    for option in (4, 22, 36, 78, 0x59616D61):  # 78: 1 GiB of the kernel's, counted by nothing
        assert verdict(program, machine, known["prctl"], option) == EPERM
    assert verdict(program, machine, known["mmap"], 0, 0, 0, 0x122) == EPERM  # it grows down
    for call in (8, 10, 15, 1024, 1026, 1031, 1036, 9999):
        assert verdict(program, machine, known["fcntl"], 0, call) == EPERM
    for call in (0, 1, 2, 3, 1030):
        assert verdict(program, machine, known["fcntl"], 0, call) is ALLOWED
    for lock in (6, 7, 37, 38):
        assert verdict(program, machine, known["fcntl"], 0, lock) == 0  # it does nothing
    assert verdict(program, machine, known["fcntl"], 0, 4, 0x800 | 0x400 | 2) is ALLOWED
    for flag in (0x2000, 0x4000, 0x40000):
        assert verdict(program, machine, known["fcntl"], 0, 4, 0x800 | flag) == EPERM
    assert verdict(program, machine, known["flock"], 0, 2) == 0
    for request in (0x5412, 0x541C, 0x8901, 0x40086602, 0x401C5820):
        assert verdict(program, machine, known["ioctl"], 0, request) == ENOTTY
    assert verdict(program, machine, known["ioctl"], 0, 0x5401) is ALLOWED
    for kind in (2, 3, 2 | 0x80000):
        assert verdict(program, machine, known["socketpair"], 1, kind) == EPERM
    for kind in (1, 5, 1 | 0x80800):
        assert verdict(program, machine, known["socketpair"], 1, kind) is ALLOWED
    for family in (2, 16, 30, 40):
        assert verdict(program, machine, known["socketpair"], family, 1) == 97  # EAFNOSUPPORT
    assert verdict(program, machine, known["fsync"], 0) == 0
    for option in (7, 8, 26, 33, 50):
        assert verdict(program, machine, known["setsockopt"], 3, 1, option) == EPERM
    assert verdict(program, machine, known["setsockopt"], 3, 41, 26) is ALLOWED  # IPV6_V6ONLY
    assert verdict(program, machine, known["setsockopt"], 3, 1, 2) is ALLOWED  # SO_REUSEADDR
    assert verdict(program, machine, known["clock_gettime"], 2) is ALLOWED
    assert verdict(program, machine, known["clock_gettime"], (~77 << 3 | 2) & 0xFFFFFFFF) == EPERM


@pytest.mark.parametrize("processes", [False, True])
def test_a_session_is_allowed_what_is_listed_and_all_else_is_unknown(
    machine: str, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = numbers(machine)
    program = whole(seccomp.of_session(PARENT, processes, True), machine, monkeypatch)
    free = {known[name] for name in FREE if name in known}
    assert {n for n in range(1024) if verdict(program, machine, n, 1 << 20, 9999) is ALLOWED} - {
        known[name] for name in SOME if name in known
    } == free
    assert verdict(program, machine, 467) == verdict(program, machine, 444) == ENOSYS
    starts = {verdict(program, machine, known[name]) for name in ("execve", "execveat")}
    assert starts == {ALLOWED if processes else EPERM}


def test_other_machines_and_x32_are_refused(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = whole(seccomp.of_place(False), machine, monkeypatch)
    [other] = set(PLACES) - {machine}
    assert verdict(program, other, 0) == EPERM
    assert verdict(program, machine, 0x40000000) == EPERM
    getpid = {"x86_64": 39, "aarch64": 172}[machine]
    assert verdict(program, machine, getpid) is ALLOWED


def test_a_machine_that_is_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="riscv64"))
    assert seccomp.install(b"") is False
