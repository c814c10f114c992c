"""How a guest begins behind a command: a Python that reads one line, and starts itself afresh."""

from __future__ import annotations

from rlm.sandbox._archive import archive

__all__ = ["MARK", "ONE_BY_ONE", "first_line", "guest"]

ONE_BY_ONE = "-ISqi"
"""Makes a Python run what it is sent, line by line.

Like all that is put after a command, it holds nothing that a shell would read: a command may run
its words, or hand them to a shell.
"""

MARK = b"\0rlm guest\0"
"""What the other side says before anything that counts; commands may have said things before."""

_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}

# It names its folder as `_scratch` does, and removes what others, who were killed, have left:
# that may be deeper than `rmtree` goes.
# Whoever asks it to end has closed its stdin: it ends by that, and clears up.
_LOADER = f"""
import os, signal, sys
if sys.version_info < (3, 9):
    sys.exit("the Python there is %d.%d: the guest needs 3.9 or newer" % sys.version_info[:2])
homes = tuple(home.rstrip("/") + "/" for home in (sys.prefix, sys.base_prefix, sys.exec_prefix))
sys.path[:] = [path for path in sys.path if path.startswith(homes)]
def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece: sys.exit("nobody is there")
        data += piece
    return data
def remove(folder): __import__("shutil").rmtree(folder, ignore_errors=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
folder, seen = sys.argv.pop(1), "/proc/self/ns/pid"
processes = os.stat(seen).st_ino if os.path.exists(seen) else 0
scratch = "%s/rlm-%d-%d-%s" % (folder, processes, os.getpid(), os.urandom(4).hex())
try:
    try: os.mkdir(scratch, 0o700)
    except OSError as error: sys.exit("it cannot make its folder there: %s" % error)
    os.chdir(scratch)
    os.write(1, {MARK!r} + os.fsencode(scratch) + b"\\n")
    path = os.path.join(scratch, "guest.zip")
    with open(path, "xb") as file: file.write(take(int.from_bytes(take(8), "big")))
    sys.path.insert(0, path)
    from guest.__main__ import main
    from guest.remains import remove, sweep
    del sys.path[0]
    os.unlink(path)
    if processes: sweep(folder, "rlm-%d-" % processes)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    main()
finally:
    remove(scratch)
os._exit(0)
"""
"""Cells may import, and so read, what is in the interpreter's own folders. A folder that somebody
has added to its path, say a project that is installed in place, they may not."""

_AFRESH = """
import os, sys
try:
    words = [sys.executable, "-s", "-c", {loader!r}, {folder!r}, "relay"]
    os.execve(words[0], words, {env!r})
except BaseException as error:
    os.write(2, ("its Python cannot start itself: %s" % error).encode())
    os._exit(1)
"""
"""Nothing of the environment that the command was given is left in a process that cells can see."""


def first_line(folder: str) -> bytes:
    """Return what the Python there is sent first; it makes its own folder in `folder`."""
    program = _AFRESH.format(loader=_LOADER, folder=folder, env=_ENVIRONMENT)
    return f"exec({program!a})\n".encode("ascii")


def guest() -> bytes:
    """Return what it is sent once it has said MARK: the guest, with its length before it."""
    found = archive()
    return len(found).to_bytes(8, "big") + found
