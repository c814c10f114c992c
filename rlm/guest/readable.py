"""Which files of a machine cells may read: those that an interpreter needs, and no others."""

from __future__ import annotations

import os
import sys
from typing import Sequence

__all__ = ["DEVICES", "PROGRAMS", "libraries", "packages", "tables"]

_LIBRARIES = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
    "/usr/local/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/nix/store", "/gnu/store",
    "/home/linuxbrew/.linuxbrew/lib", "/home/linuxbrew/.linuxbrew/opt",
    "/home/linuxbrew/.linuxbrew/Cellar",
)  # fmt: skip
_TABLES = (  # what modules of the standard library read, and raise if they may not
    "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo",
    "/etc/localtime", "/usr/share/locale", "/usr/share/i18n", "/usr/share/terminfo",
    "/etc/terminfo", "/etc/os-release", "/etc/mime.types", "/etc/httpd/mime.types",
    "/etc/httpd/conf/mime.types", "/etc/apache/mime.types", "/etc/apache2/mime.types",
    "/usr/local/etc/httpd/conf/mime.types", "/usr/local/lib/netscape/mime.types",
    "/usr/local/etc/mime.types", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies", "/sys/devices/system/cpu", "/dev/urandom", "/dev/random",
)  # fmt: skip
_NAMES = (  # how names of the network are looked up, and whose certificates are believed
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
    "/etc/services", "/etc/protocols", "/etc/ssl/certs", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted", "/etc/ca-certificates/extracted", "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates", "/run/systemd/resolve",
)  # fmt: skip
DEVICES = ("/dev/null",)
"""What may be written, too."""
PROGRAMS = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/libexec", "/usr/share",
    "/usr/include",
)  # fmt: skip
"""What cells may run beside the libraries, where they may run anything."""


def libraries() -> list[str]:
    """Return where this interpreter and what it may import lie: its libraries, not its home."""
    found = [path for path in sys.path if path]
    found += [sys.executable, os.path.dirname(os.__file__)]
    for prefix in dict.fromkeys((sys.base_prefix, sys.base_exec_prefix)):
        found += [os.path.join(prefix, name) for name in ("lib", "lib64", "share/locale", "ssl")]
        found.append(os.path.join(prefix, "share/terminfo"))
    return list(dict.fromkeys([*found, *_LIBRARIES]))


def packages(wanted: Sequence[str]) -> list[str]:
    """Return the folders of packages among the libraries that have nothing of what is wanted."""
    versions = ("python3", "python%d.%d" % sys.version_info[:2])
    found = dict.fromkeys(
        os.path.join(prefix, "lib", version, packages)
        for prefix in (sys.base_prefix, "/usr", "/usr/local")
        for version in versions
        for packages in ("site-packages", "dist-packages")
    )
    asked = [os.path.realpath(path) + os.sep for path in wanted]
    return [
        folder
        for folder in found
        if not any(path.startswith(os.path.realpath(folder) + os.sep) for path in asked)
    ]


def tables(network: bool) -> Sequence[str]:
    """Return the files with facts about the world that modules read."""
    return (*_TABLES, *_NAMES) if network else _TABLES
