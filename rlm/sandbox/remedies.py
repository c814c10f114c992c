"""What a machine does not give a sandbox: told once, refused on request, and how to get it."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["refusal", "remedy", "warn_of"]

_SYSCTLS = {
    "kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "user/max_user_namespaces": ("0", "user.max_user_namespaces=15000"),
}
"""Settings that take namespaces from users: what it is then, and what to set instead."""


_ADVICE = "'rlm doctor' says how to get them"
_warned_of: set[str] = set()


def warn_of(sandbox: str, missing: Sequence[str], advice: str = _ADVICE) -> None:
    """Log in one line what a sandbox lacks here, the first time in this process.

    It goes to the logger `rlm`, whose level silences it. What a guest elsewhere says of itself
    is no more trusted than its cells: nothing in the line is obeyed by a terminal.
    """
    if missing and sandbox not in _warned_of:
        _warned_of.add(sandbox)
        walls = "; ".join(str(sentence).partition(":")[0] for sentence in missing)
        walls = "".join(each if each.isprintable() else "\ufffd" for each in walls)
        logging.getLogger("rlm").warning(
            "missing walls of the sandbox %r here: %s; %s", sandbox, walls, advice
        )


def refusal(missing: Sequence[str]) -> str:
    """Return why a sandbox that has to be whole does not start: what is missing, how to get it."""
    ways = dict.fromkeys(how for what in missing if (how := remedy(what)))
    get = f" To get it: {'; '.join(ways)}." if ways else ""
    return (
        f"this machine cannot confine code fully; missing: {'; '.join(missing)}.{get} See"
        " `rlm doctor`, use another sandbox, or say require_confinement=False to run without"
    )


def remedy(missing: str, runtime: str = "") -> str:
    """Return how to get what is missing, by the words of `facts["missing"]`; `""` if unknown.

    `runtime` is the container runtime that it is missing in, where that is one with a kernel of
    its own.
    """
    words = missing.lower()
    if runtime.startswith("runsc"):
        return "gVisor's own kernel has or shows none: use the engine's own runtime, or do without"
    if sys.platform != "linux":
        return "run in Linux, or use the docker sandbox: rlm docker build"
    for said, how in _REMEDIES.items():
        if said in words:
            return how()
    return ""


def _namespaces() -> str:
    for name, (closed, setting) in _SYSCTLS.items():
        if _read(f"/proc/sys/{name}") == closed:
            return (
                f"sudo sysctl -w {setting}"
                f" (to keep it: echo '{setting}' | sudo tee /etc/sysctl.d/60-rlm.conf)"
            )
    return _contained()


def _landlock() -> str:
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if version < (5, 13):
        return f"this kernel is {release}: Landlock needs Linux 5.13, and 6.2 to be whole"
    active = _read("/sys/kernel/security/lsm")
    if active and "landlock" not in active.split(","):
        return (
            f"boot the kernel with lsm=landlock,{active}: in /etc/default/grub add it to"
            " GRUB_CMDLINE_LINUX, then sudo update-grub and restart"
        )
    if version < (6, 2):
        return f"this kernel is {release}: from Linux 6.2 on Landlock is whole"
    return _contained()


def _seccomp() -> str:
    machine = platform.machine()
    if machine not in ("x86_64", "aarch64"):
        return f"its filters are written for x86-64 and arm64, and this is {machine}: use docker"
    return _contained()


def _contained() -> str:
    """Say who may refuse what the kernel has."""
    return (
        "something above this process refuses it: a container (start it with --security-opt"
        " seccomp=unconfined --security-opt apparmor=unconfined), a service manager, a sandbox"
    )


def _ordinary() -> str:
    return "start rlm as an ordinary user, and not as root"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _elsewhere() -> str:
    return "use the process or the docker sandbox for prompts that you do not trust"


def _engine() -> str:
    return "the engine does not give it: see `docker info`, or use another engine or runtime"


_REMEDIES = {
    "engine": _engine,
    "limit of": _engine,
    "read-only root": _engine,
    "absence of a network": _engine,
    "isolation": _elsewhere,
    "bound of": _elsewhere,
    "landlock": _landlock,
    "cells run as root": _ordinary,
    "namespace": _namespaces,
    "root of its own": _namespaces,
    "bound on": _namespaces,
    "seccomp": _seccomp,
    "capabilities": _contained,
    "no_new_privs": _contained,
}
"""By words of a sentence, in lower case; the first that it has is what it is about."""
