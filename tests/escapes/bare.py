"""The control: each case by a bare `exec`, as an ordinary user in throwaway namespaces.

`python -m …bare` reads the cases as JSON and prints, for each, what harm it did. A case has a
namespace of its own for everything; the first process in there is the referee and the careless
host at once, since no signal from inside ends it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import linecache
import os
import signal
import socket
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from .case import Case, from_json
from .naive import NaiveHost
from .namespaces import die_with_parent, drop_capabilities, enter_bare, lower_limits, mount_proc
from .said import Offered
from .screen import harms_of  # here, for the cells' root may hide where these modules lie
from .world import World

__all__ = ["controls", "main"]

_AT_ONCE = 6
_SECONDS = 20
_SHOWN = 8 << 20
_PRELUDE = compile(Path(__file__).with_name("prelude.txt").read_text("utf-8"), "prelude", "exec")


def controls(cases: list[Case]) -> dict[str, list[str]]:
    """Run cases, some at a time, and return the harms that each has done."""
    waiting, running = list(reversed(cases)), dict[int, tuple[Case, int]]()
    found: dict[str, list[str]] = {}
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            one = waiting.pop()
            heard, said = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(heard)
                _outer(one, said)
            os.close(said)
            running[pid] = one, heard
        pid, status = os.wait()
        one, heard = running.pop(pid)
        with os.fdopen(heard, encoding="utf-8") as file:
            text = file.read()
        if not text:
            text = json.dumps([f"the host died ({status})"] if status == 129 << 8 else [])
        found[one.name] = json.loads(text)
    return found


def _outer(one: Case, said: int) -> None:
    """Enter the namespaces and wait for what is in them; 129 says that it was rebooted."""
    code = 3
    try:
        enter_bare(one.control == "root", sys.base_prefix)
        die_with_parent()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)  # a signal to a group reaches the whole of it, in every namespace
            die_with_parent()
            _inner(one, said)
        os.close(said)
        signal.signal(signal.SIGALRM, lambda number, frame: os.kill(pid, signal.SIGKILL))
        signal.alarm(_SECONDS)  # the first process of a namespace does not hear its own alarm
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        code = 129 if ended in (-signal.SIGHUP, -signal.SIGINT) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _inner(one: Case, said: int) -> None:
    """Be the host: plant, run, look, tell."""
    try:
        mount_proc()
        os.umask(0)
        harms = _Bare(one).run()
        os.write(said, json.dumps(harms).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


class _Bare:
    def __init__(self, one: Case) -> None:
        self._one = one
        self._world = World()
        self._offered = Offered()
        self._offered["known"] = lambda *args, **named: self._offered.take(args)
        self._offered["submit"] = lambda *args, **named: self._offered.take(named)
        self._scratch = os.path.join(self._world.folder, "scratch")
        os.mkdir(self._scratch)
        self._modules = os.path.join(self._scratch, "modules")
        os.mkdir(self._modules)
        for name in ("this", "colorsys", "sndhdr"):
            Path(self._modules, f"{name}.py").write_text("VALUE = 1\n", encoding="utf-8")
        sys.path.insert(0, self._modules)
        self._text = ""
        self._sibling = self._start_sibling()

    def run(self) -> list[str]:
        """Run the case and return its harms."""
        harms = self._cell("cell", self._one.code)
        if self._one.then:
            harms += self._cell("then", self._one.then)
        harms += self._world.harms(self._text)
        harms += self._offered.harms() + self._sibling_suffered() + self._world.left_alive()
        if os.environ.get("ESCAPES_SHOW"):
            sys.stderr.write(f"--- {self._one.name}\n{self._text[-3000:]}\n")
        return list(dict.fromkeys(harms))

    def _cell(self, name: str, code: str) -> list[str]:
        ours, theirs = socket.socketpair()
        out = os.memfd_create("said")
        pid = self._fork(name, code, theirs.fileno(), out, ours.fileno())
        theirs.close()
        host = NaiveHost(ours, self._offered)
        host.serve(pid, float(self._one.limits["seconds"]))
        ours.close()
        _end(pid)
        with os.fdopen(out, "r+b") as file:
            file.seek(max(os.fstat(out).st_size - _SHOWN, 0))
            said = file.read().decode("utf-8", "surrogateescape")
        self._text += said
        return host.harms + _on_a_terminal(said)

    def _fork(self, name: str, code: str, wire: int, out: int, theirs: int) -> int:
        folder = os.path.join(self._scratch, name)
        os.mkdir(folder)
        pid = os.fork()
        if pid == 0:
            try:
                os.close(theirs)
                os.dup2(out, 1)
                os.dup2(out, 2)
                self._become(folder)
                self._exec(code, wire)
            finally:
                os._exit(0)
        return pid

    def _become(self, folder: str) -> None:
        self._world.release()
        os.chdir(folder)
        if self._one.control != "root":
            drop_capabilities()
        lower_limits()

    def _exec(self, code: str, wire: int) -> None:
        facts = {**self._world.facts, **self._sibling, **self._one.limits}
        facts |= {"stdlib": self._modules, "wire": wire}
        namespace: dict[str, Any] = {
            "__name__": "__main__",
            "host": types.SimpleNamespace(**facts),
            "known": lambda *args: None,
        }
        module = types.ModuleType("__main__")
        module.__dict__.update(namespace)
        sys.modules["__main__"] = module
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            exec(_PRELUDE, module.__dict__)
            linecache.cache["<cell>"] = len(code), None, code.splitlines(keepends=True), "<cell>"
            exec(compile(code, "<cell>", "exec"), module.__dict__)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()

    def _start_sibling(self) -> dict[str, Any]:
        """Fork another cell of this host, that holds a secret in its memory and in its folder."""
        secret = self._world.secrets["a sibling's session"] = os.urandom(12).hex()
        folder = os.path.join(self._scratch, "sibling")
        os.mkdir(folder)
        Path(folder, "mine.txt").write_text(f"SIBLING={secret}", encoding="ascii")
        buffer = ctypes.create_string_buffer(f"SIBLING={secret}".encode())
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become(folder)
            os.write(told, b".")
            while True:
                signal.pause()
        os.read(ready, 1)
        os.close(ready)
        os.close(told)
        ctypes.memset(buffer, 0, len(buffer))
        self._kept = buffer
        del secret
        gc.collect()
        return {
            "sibling_pid": pid,
            "sibling_folder": folder,
            "sibling_address": ctypes.addressof(buffer),
        }

    def _sibling_suffered(self) -> list[str]:
        pid, folder = self._sibling["sibling_pid"], self._sibling["sibling_folder"]
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return ["a sibling was ended"]
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        try:
            text = Path(folder, "mine.txt").read_text("utf-8")
        except OSError:
            text = ""
        known = text == "SIBLING=" + self._world.secrets["a sibling's session"]
        return [] if known and state not in "tT" else ["a sibling was changed"]


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _on_a_terminal(said: str) -> list[str]:
    """A careless host shows and keeps what it was told as it is."""

    return harms_of(said, said)


def main() -> None:
    """Take cases as JSON on stdin and print their harms as JSON."""
    print(json.dumps(controls(from_json(sys.stdin.read()))))


if __name__ == "__main__":
    main()
