"""The walls of macOS: a seatbelt profile that `sandbox-exec` holds a zygote and its forks in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rlm.guest.readable import DEVICES, PROGRAMS, libraries

__all__ = ["held", "profile"]

_EXEC = "/usr/bin/sandbox-exec"
_SYSTEM = (
    "/usr/lib", "/System/Library", "/Library/Apple", "/System/Volumes/Preboot/Cryptexes",
    "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/terminfo", "/private/var/db/timezone",
    "/dev/urandom", "/dev/random", "/private/etc/localtime", "/private/etc/ssl/openssl.cnf",
)  # fmt: skip
_NAMES = ("/private/etc/hosts", "/private/etc/resolv.conf", "/private/var/run/mDNSResponder")


def held(
    command: list[str], scratch: str, options: Mapping[str, Any], system: str = sys.platform
) -> list[str]:
    """Return a command as it is run on this system: on macOS behind `sandbox-exec`."""
    if system != "darwin" or not os.path.exists(_EXEC):
        return command
    return [_EXEC, "-p", profile(command[0], scratch, options), *command]


def profile(python: str, scratch: str, options: Mapping[str, Any]) -> str:
    """Return what a zygote may do, in seatbelt's own language; all else is refused.

    Forks are sessions, so they cannot be refused; running programs can.
    """
    readable = [python, *libraries(), *_SYSTEM, *options["path"], *options["allow_read"]]
    lines = [
        "(version 1)",
        "(deny default)",
        '(import "system.sb")',
        "(allow process-fork)",
        f"(allow process-exec {_literals([python])})",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
    ]
    if options["processes"]:
        readable += PROGRAMS
        lines.append(f"(allow process-exec {_below([*PROGRAMS, scratch])})")
    if options["network"]:
        readable += _NAMES
        lines += ["(allow network*)", "(allow system-socket)"]
    lines.append(f"(allow file-read* {_below([*readable, scratch])} {_literals(DEVICES)})")
    lines.append(f"(allow file-write* {_below([scratch])} {_literals(DEVICES)})")
    return "\n".join(lines)


def _below(paths: Iterable[str]) -> str:
    """Return a filter of these folders and files and all in them; links are followed there."""
    real = dict.fromkeys(form for path in paths for form in (path, os.path.realpath(path)))
    return " ".join(f"(subpath {_quoted(path)})" for path in real)


def _literals(paths: Iterable[str]) -> str:
    return " ".join(f"(literal {_quoted(path)})" for path in paths)


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
