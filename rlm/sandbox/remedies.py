"""How to get what a machine does not give a sandbox: a sentence with the command to run."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

__all__ = ["remedy"]

_SYSCTLS = {
    "kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "user/max_user_namespaces": ("0", "user.max_user_namespaces=15000"),
}
"""Settings that take namespaces from users: what it is then, and what to set instead."""


def remedy(missing: str) -> str:
    """Return how to get what is missing, by the words of `facts["missing"]`; `""` if unknown."""
    words = missing.lower()
    if sys.platform != "linux":
        return "run in Linux, or use the docker sandbox: rlm docker build"
    if "landlock" in words:
        return _landlock()
    if "namespace" in words or "pid " in words or "mount" in words or "root of its own" in words:
        return _namespaces()
    if "seccomp" in words or "system call" in words:
        return _seccomp()
    if "capabilit" in words or "no_new_privs" in words:
        return f"something above this process refuses it: {_contained()}"
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
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return (
            "this is a container, whose own filter refuses it: start it with"
            " --security-opt seccomp=unconfined, or use the docker sandbox beside it"
        )
    return "a filter above this process refuses it (a container, a service manager, a sandbox)"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
