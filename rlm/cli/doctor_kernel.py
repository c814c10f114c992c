"""What this machine's kernel offers to confine code with: each feature tried, none assumed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

from rlm.cli.doctor_findings import Finding

__all__ = ["examine_kernel", "found_namespaces"]

_TRIAL = r"""
import ctypes, json, os, struct
libc = ctypes.CDLL(None, use_errno=True)
FLAGS = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "network": 0x40000000,
         "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000}
def tried(function):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 64)
    os.close(read)
    os.waitpid(pid, 0)
    return int(said or b"1")
def unshare(flags):
    return ctypes.get_errno() if libc.unshare(flags) else 0
def seccomp():
    if libc.prctl(38, 1, 0, 0, 0):
        return ctypes.get_errno()
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
    return 0 if not libc.prctl(22, 2, program, 0, 0) else ctypes.get_errno()
found = {"namespaces": {}, "seccomp": tried(seccomp), "no_new_privs":
         tried(lambda: ctypes.get_errno() if libc.prctl(38, 1, 0, 0, 0) else 0)}
for name, flag in FLAGS.items():
    alone = tried(lambda: unshare(flag)) if name != "user" else 1
    found["namespaces"][name] = alone and tried(lambda: unshare(flag | FLAGS["user"]))
print(json.dumps(found))
"""
"""Tries each in a process of its own, which ends at once; alone first, then as a user may."""


def examine_kernel() -> list[Finding]:
    """Try what sandboxes are made of; on Linux only."""
    if sys.platform != "linux":
        return [_elsewhere()]
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _TRIAL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    if said.returncode:
        why = said.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return [Finding("note", "features", f"they could not be tried: {why}")]
    tried = json.loads(said.stdout)
    return [found_namespaces(tried["namespaces"]), _landlock(), *_filters(tried), _cgroups()]


def _elsewhere() -> Finding:
    if sys.platform == "darwin" and os.path.exists("/usr/bin/sandbox-exec"):
        return Finding("ok", "seatbelt", "sandbox-exec is there")
    from rlm.sandbox.remedies import remedy

    what = f"{sys.platform} has no namespaces, Landlock or seccomp"
    return Finding("note", "features", what, remedy(what))


def found_namespaces(tried: dict[str, int]) -> Finding:
    """Say which namespaces can be had; `tried` has the error of each, 0 where it can."""
    there = [name for name, error in tried.items() if not error]
    if len(there) == len(tried):
        return Finding("ok", "namespaces", ", ".join(there))
    from rlm.sandbox.remedies import remedy

    parts = []
    for error in dict.fromkeys(error for error in tried.values() if error):
        names = ", ".join(name for name, found in tried.items() if found == error)
        why = "their number is limited to none" if error == errno.ENOSPC else os.strerror(error)
        parts.append(f"refused: {names} ({why})")
    parts += [f"there are {', '.join(there)}"] if there else []
    return Finding("note", "namespaces", "; ".join(parts), remedy("namespaces"))


def _landlock() -> Finding:
    from rlm.guest.landlock import abi

    version = abi()
    if version >= 3:
        return Finding("ok", "Landlock", f"ABI {version}")
    from rlm.sandbox.remedies import remedy

    said = f"ABI {version}, and 3 is needed to keep files whole" if version else "not there"
    return Finding("note", "Landlock", said, remedy("Landlock"))


def _filters(tried: dict[str, int]) -> list[Finding]:
    from rlm.sandbox.remedies import remedy

    names = {"seccomp": "filters of system calls", "no_new_privs": "set-uid gives nothing"}
    return [
        Finding("ok", name, f"can be set: {what}")
        if not tried[name]
        else Finding("note", name, f"refused: {os.strerror(tried[name])}", remedy(name))
        for name, what in names.items()
    ]


def _cgroups() -> Finding:
    """Containers are bounded by them; sandboxes of processes do without."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        has = unified.read_text(encoding="ascii").split()
        return Finding("ok", "cgroups", f"version 2: {', '.join(has) or 'no controllers'}")
    folder = Path("/sys/fs/cgroup")
    has = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    return Finding("ok", "cgroups", f"version 1: {', '.join(has)}" if has else "none mounted")
