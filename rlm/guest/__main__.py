"""Where the guest begins: a zygote on a descriptor, or one or a session on stdin and stdout."""

from __future__ import annotations

import os
import sys

from . import relay, session, zygote
from .files import Opener
from .spool import Spool

__all__ = ["main"]


def main() -> None:
    """Run `zygote FD`, `relay` over stdin and stdout, or without arguments one session there."""
    if len(sys.argv) == 3 and sys.argv[1] == "zygote":
        zygote.main(int(sys.argv[2]))
        return
    if sys.argv[1:] == ["relay"]:
        relay.main(*_standard_streams())
        return
    place, own = (Opener([], None, kind) for kind in ("place", "session"))
    read_fd, write_fd = _standard_streams()
    session.serve(read_fd, write_fd, {}, place, own, Spool())


def _standard_streams() -> tuple[int, int]:
    """Move the wire away from where prints and child processes write, and leave nothing there."""
    import fcntl

    read_fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 64)
    write_fd = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 64)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    return read_fd, write_fd


if __name__ == "__main__":
    main()
