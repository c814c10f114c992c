"""What a session leaves behind, and how it goes: its processes, and its files however they lie."""

from __future__ import annotations

import errno
import itertools
import os
import signal
from typing import Collection, List

__all__ = ["empty", "kill_group", "kill_strays", "remove", "sweep"]


def kill_group(pid: int) -> None:
    """Kill the process group of a session that is not reaped yet."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it died before it had a group


def kill_strays(sessions: Collection[int]) -> None:
    """Kill what is no session but a child of this process, which inherits all that is orphaned."""
    while True:
        strays = [pid for pid in _children() if pid not in sessions]
        if not strays:
            return
        for pid in strays:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def remove(folder: str) -> None:
    """Remove a folder that nobody uses any more, however deep it is; what cannot go is left."""
    try:
        above = os.open(os.path.dirname(folder) or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        _remove(above, os.path.basename(folder))
    except OSError:
        return  # the host removes what is left when it closes the place
    finally:
        os.close(above)


def sweep(folder: str, prefix: str) -> None:
    """Remove what dead processes of this user have left in a folder: `prefix`, a pid, `-`, a word.

    It is a courtesy: where it cannot be done, it is not.
    """
    try:
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(prefix)]
    except OSError:
        return
    for entry in entries:
        pid = entry.name[len(prefix) :].partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)) and _is_own(entry):
            remove(entry.path)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _is_own(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except OSError:
        return False


def empty(folder: str) -> None:
    """Remove all that is in a folder that nobody uses any more."""
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        for name in _empty(here):
            _remove(here, name)
    except OSError:
        return
    finally:
        os.close(here)


def _remove(above: int, name: str) -> None:
    """Empty a folder and all below it, and take it away.

    Folders in folders are moved up to it first: a fence looks at all that is above what it is asked
    about, so that a long chain of them would take the square of its length.
    """
    top, numbers, word = _enter(above, name), itertools.count(), os.urandom(8).hex()
    try:
        waiting = _empty(top)
        while waiting:
            inner = waiting.pop()
            here = _enter(top, inner)
            try:
                for each in _empty(here):
                    os.chmod(each, 0o700, dir_fd=here)
                    waiting.append(f"{word}-{next(numbers)}")
                    os.rename(each, waiting[-1], src_dir_fd=here, dst_dir_fd=top)
            finally:
                os.close(here)
            os.rmdir(inner, dir_fd=top)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _descend(above, name)  # the first version of Landlock lets nothing be moved
    else:
        os.rmdir(name, dir_fd=above)
    finally:
        os.close(top)


def _descend(above: int, name: str) -> None:
    """Do the same from below: one descriptor at a time, and no path longer than a name."""
    names, here = [name], _enter(above, name)
    try:
        waiting = [_empty(here)]
        while names:
            if waiting[-1]:
                names.append(waiting[-1].pop())
                here = _go(here, _enter(here, names[-1]))
                waiting.append(_empty(here))
            else:
                waiting.pop()
                here = _go(here, os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here))
                os.rmdir(names.pop(), dir_fd=here)
    finally:
        os.close(here)


def _go(here: int, there: int) -> int:
    os.close(here)
    return there


def _enter(above: int, name: str) -> int:
    """Open a folder, which its maker may have closed to everybody."""
    os.chmod(name, 0o700, dir_fd=above)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)


def _empty(here: int) -> List[str]:
    """Remove the files of a folder; return the names of the folders in it."""
    with os.scandir(here) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, folder in found:
        if not folder:
            os.unlink(name, dir_fd=here)
    return [name for name, folder in found if folder]


def _children() -> List[int]:
    own = os.getpid()
    with open(f"/proc/{own}/task/{own}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]
