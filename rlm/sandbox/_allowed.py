"""What cells may be allowed to read beside the interpreter: the check that all sandboxes share."""

from __future__ import annotations

import os

from rlm.errors import ConfigurationError

__all__ = ["check_path"]

_NEVER = ("/proc/", "/sys/", "/dev/")


def check_path(path: str, *others: str) -> None:
    """Refuse a path of `allow_read` that cells must not be given; `others` are its other names."""
    if not path.startswith("/") or os.path.normpath(path) == "/":
        raise ConfigurationError(f"allow_read={path!r}: give an absolute path below /")
    if any((os.path.normpath(name) + "/").startswith(_NEVER) for name in (path, *others)):
        raise ConfigurationError(f"allow_read={path!r}: what is below {', '.join(_NEVER)} tells")
