"""What the process sandbox allows, what its walls hold, and what is said where they lack."""

from __future__ import annotations

import asyncio
import fcntl
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import need_landlock, need_module

from rlm.errors import ConfigurationError, SandboxError
from rlm.files import File
from rlm.guest import landlock
from rlm.guest.syscalls import NUMBERS
from rlm.sandbox import _zygote_process
from rlm.sandbox.base import CellLimits, Execution, OpenOptions
from rlm.sandbox.process import ProcessSandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are Linux's walls")

WHOLE = ProcessSandbox(require_confinement=True)


def run(
    *codes: str, sandbox: ProcessSandbox = WHOLE, limits: CellLimits | None = None
) -> tuple[dict[str, Any], list[Execution]]:
    """Run cells in one session; return the place's facts and what they did."""

    async def main() -> tuple[dict[str, Any], list[Execution]]:
        async with (
            sandbox.start({}, limits or CellLimits(seconds=20, memory_mb=256)) as place,
            place.open({}, {}, OpenOptions()) as session,
        ):
            return dict(place.facts), [await session.execute(code) for code in codes]

    return asyncio.run(main())


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server on this machine's loopback, and what it was sent."""
    received: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # the test is over
            with connection:
                received.append(connection.recv(100))
                connection.sendall(b"heard")

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1], received
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def weakened(monkeypatch: pytest.MonkeyPatch, patch: str) -> None:
    """Let zygotes find a kernel that offers less."""
    loader = _zygote_process._LOADER.replace("main()", f"{patch}; main()")
    monkeypatch.setattr(_zygote_process, "_LOADER", loader)


def test_facts_tell_what_each_wall_is() -> None:
    facts, _ = run("1")
    walls = facts["walls"]
    assert facts["missing"] == []
    assert walls["files"].startswith("a root of its own; landlock abi")
    assert walls["network"] == "none, sockets refused"
    assert walls["processes"] == "none can be started; 64 threads a session"
    assert walls["memory"] == "256 MB a session beyond the inputs"
    assert walls["privileges"].endswith("no capabilities, no new privileges")
    assert "pid" in walls["namespaces"]


def test_no_name_of_the_machine_is_told() -> None:
    _, [done] = run("import os, socket; (os.uname().nodename, socket.gethostname())")
    assert done.value == "('sandbox', 'sandbox')"


def test_cells_see_no_file_but_the_interpreters(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x", encoding="utf-8")
    paths = [
        str(tmp_path / "there"),
        str(tmp_path),
        "/etc/passwd",
        "/root",
        "/home",
        "/var",
        "/boot",
    ]
    _, [done] = run(f"import os; [path for path in {paths!r} if os.path.lexists(path)]")
    assert done.value == "[]" or "/root" in str(done.value)  # the way to an interpreter may be seen


def test_cells_never_run_as_root() -> None:
    _, [done] = run("import os; os.getuid(), os.geteuid()")
    assert done.value is not None
    assert 0 not in eval(done.value)


def test_the_network_is_there_when_asked_for(listener: tuple[int, list[bytes]]) -> None:
    port, received = listener
    code = (
        f"import socket\nwith socket.create_connection(('127.0.0.1', {port}), 5) as c:\n"
        "    c.sendall(b'hello'); print(c.recv(10))"
    )
    _, [refused] = run(code)
    assert refused.error is not None
    assert received == []
    facts, [done, local, names] = run(
        code,
        "socket.socket(socket.AF_UNIX)",
        "socket.getaddrinfo('localhost', 80)[0][4][0] in ('127.0.0.1', '::1')",
        sandbox=ProcessSandbox(network=True),
    )
    assert done.stdout == "b'heard'\n", done.error
    assert received == [b"hello"]
    assert local.error is not None
    assert names.value == "True"
    assert facts["walls"]["network"].startswith("the host's, as asked")


def test_what_is_allowed_can_be_read_and_no_more(tmp_path: Path) -> None:
    folder, secret = tmp_path / "data", tmp_path / "secret.txt"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("told", encoding="utf-8")
    secret.write_text("not told", encoding="utf-8")
    (folder / "pointer").symlink_to(secret)
    sandbox = ProcessSandbox(allow_read=(str(folder),))
    _, [read, listed, outside, pointer, write, new] = run(
        f"open({str(folder / 'deep' / 'a.txt')!r}).read()",
        f"import os; sorted(os.listdir({str(folder)!r}))",
        f"open({str(secret)!r}).read()",
        f"open({str(folder / 'pointer')!r}).read()",
        f"open({str(folder / 'deep' / 'a.txt')!r}, 'w')",
        f"open({str(folder / 'new')!r}, 'w')",
        sandbox=sandbox,
    )
    assert (read.value, listed.value) == ("'told'", "['deep', 'pointer']")
    for done in (outside, pointer, write, new):
        assert done.error is not None
    assert sorted(path.name for path in folder.iterdir()) == ["deep", "pointer"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"allow_read": ("data",)}, "allow_read='data': give an absolute path"),
        ({"allow_read": ("/",)}, "allow_read='/': give an absolute path below /"),
        ({"allow_read": ("/proc/1",)}, "allow_read='/proc/1'"),
        ({"allow_read": ("/no/such",)}, "there is no such file or folder"),
        ({"allow_read": ("/development",)}, "there is no such file or folder"),
        ({"allow_read": "/usr"}, "give a list of strings"),
        ({"packages": "numpy"}, "packages='numpy'"),
        ({"memory_mb": 1}, "memory_mb=1: give a whole number from 16 on"),
        ({"processes": -1}, "processes=-1"),
        ({"threads": True}, "threads=True"),
        ({"cpu_seconds": 0.5}, "cpu_seconds=0.5"),
        ({"scratch_mb": None}, "scratch_mb=None"),
    ],
)
def test_options_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ProcessSandbox(**given)
    assert said in str(caught.value)


def test_the_time_of_a_processor_is_bounded() -> None:
    _, [lost, after] = run(
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "'again'",
        sandbox=ProcessSandbox(cpu_seconds=1),
    )
    assert lost.error is not None
    assert lost.error.kind == "lost"
    assert "processor time" in lost.error.message
    assert after.value == "'again'"


def test_the_smaller_bound_of_memory_holds() -> None:
    sandbox = ProcessSandbox(memory_mb=64)
    facts, [done] = run("b = bytearray(100 << 20)", sandbox=sandbox)
    assert facts["memory_mb"] == 64
    assert done.error is not None
    assert done.error.type == "MemoryError"


@pytest.mark.parametrize(
    "code",
    [
        "import mmap; m = mmap.mmap(-1, 900 << 20); m[::4096] = b'x' * (900 << 8)",
        "import os; os.memfd_create('x')",
        "import ctypes; assert ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0, 'refused'",
        "import multiprocessing.shared_memory as s; s.SharedMemory(create=True, size=900 << 20)",
        "import mmap; m = mmap.mmap(-1, 900 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
        "import mmap; [mmap.mmap(-1, 1 << 40, flags=34, prot=mmap.PROT_READ)]",
    ],
)
def test_memory_of_every_kind_is_bounded(code: str) -> None:
    _, [done, after] = run(code, "1 + 1")
    assert done.error is not None
    assert after.value == "2"


def test_scratch_is_bounded_for_all_its_files_together() -> None:
    code = "for n in range(40):\n    with open(f'f{n}', 'wb') as file: file.write(bytes(1 << 20))"
    _, [full, many] = run(
        code,
        "import os, glob\nfor f in glob.glob('f*'): os.remove(f)\n"
        "for n in range(10**6): open(f'e{n}', 'w').close()",
        sandbox=ProcessSandbox(scratch_mb=16),
    )
    for done in (full, many):
        assert done.error is not None
        assert done.error.type == "OSError"
        assert "No space left" in done.error.message


def test_threads_are_bounded() -> None:
    code = (
        "import threading, time\nn = 0\ntry:\n    while n < 500:\n"
        "        threading.Thread(target=time.sleep, args=(1,), daemon=True).start(); n += 1\n"
        "except RuntimeError as error: print(error)\nn"
    )
    _, [done] = run(code, sandbox=ProcessSandbox(threads=10))
    assert done.stdout == "can't start new thread\n"
    assert done.value is not None
    assert 10 <= int(done.value) <= 11  # the guest's own may not have begun


def test_processes_are_bounded_and_end_with_their_session() -> None:
    code = (
        "import os, time\nn = 0\ntry:\n    while n < 500:\n"
        "        if os.fork() == 0: time.sleep(60); os._exit(0)\n        n += 1\n"
        "except OSError as error: print(error.strerror)\nn"
    )
    _, [done] = run(code, sandbox=ProcessSandbox(processes=6))
    assert done.stdout == "Resource temporarily unavailable\n"
    assert done.value is not None
    assert 6 <= int(done.value) <= 7  # the guest's own thread may not have begun


def test_sessions_are_counted_apart() -> None:
    """What one of them uses up, the others still have."""

    async def main() -> list[str | None]:
        code = (
            "import threading, time\n"
            "ts = [threading.Thread(target=time.sleep, args=(0.3,)) for _ in range(12)]\n"
            "for t in ts: t.start()\nfor t in ts: t.join()\nlen(ts)"
        )
        sandbox = ProcessSandbox(threads=16)
        async with sandbox.start({}, CellLimits()) as place:

            async def one() -> str | None:
                async with place.open({}, {}, OpenOptions()) as session:
                    return (await session.execute(code)).value

            return list(await asyncio.gather(*(one() for _ in range(6))))

    assert asyncio.run(main()) == ["12"] * 6


def test_packages_are_imported_within_the_walls() -> None:
    need_module("numpy")
    facts, [done, write] = run(
        "import numpy; int(numpy.arange(10).sum())",
        "open(numpy.__file__, 'a')",
        sandbox=ProcessSandbox(packages=("numpy",), require_confinement=True),
    )
    assert facts["packages"] == ["numpy"]
    assert done.value == "45"
    assert write.error is not None


def test_packages_that_nobody_asked_for_are_not_shown() -> None:
    code = (
        "import os, sys\nfound = []\n"
        "for top in sys.path + ['/usr/lib/python3', '/usr/local/lib']:\n"
        "    for name in ('site-packages', 'dist-packages'):\n"
        "        path = os.path.join(top, name)\n"
        "        if os.path.isdir(path): found += os.listdir(path)\nfound"
    )
    _, [done] = run(code)
    assert done.value == "[]"


@pytest.mark.parametrize(
    "code",
    [
        "for _ in range(3000): os.mkdir('d'); os.chdir('d')",
        "for n in range(5000): os.mkdir(f'd{n}')",
        "os.makedirs('a/b'); open('a/b/c', 'w').close(); os.symlink('/', 'a/root')\n"
        "os.mkfifo('a/pipe'); os.mkdir('x' * 255)",
    ],
)
def test_whatever_lies_in_a_scratch_folder_goes_and_nobody_else_is_disturbed(code: str) -> None:
    async def main() -> None:
        async with (
            WHOLE.start({}, CellLimits(memory_mb=256)) as place,
            place.open({}, {}, OpenOptions()) as sibling,
        ):
            async with place.open({}, {}, OpenOptions()) as session:
                done = await session.execute(f"import os\n{code}")
                assert done.error is None
            seen = await sibling.execute(
                "import os; s = os.statvfs('.'); x = 1; s.f_files - s.f_ffree"
            )
            assert seen.value is not None
            assert int(seen.value) < 20
            assert (await sibling.execute("x")).value == "1"

    asyncio.run(main())


def test_shared_memory_goes_with_the_last_session() -> None:
    async def main() -> list[str | None]:
        found = []
        async with ProcessSandbox(processes=4).start({}, CellLimits()) as place:
            for _ in range(2):
                async with place.open({}, {}, OpenOptions()) as session:
                    code = "import os; here = os.listdir('/dev/shm'); os.makedirs('/dev/shm/a/b')"
                    found.append((await session.execute(code + "; here")).value)
        return found

    assert asyncio.run(main()) == ["[]", "[]"]


def test_no_frame_is_larger_than_the_memory_of_who_sends_it() -> None:
    code = (
        "import os, socket, struct\n"
        "for fd in range(3, 64):\n"
        "    try: os.write(fd, struct.pack('!IQ', 2, 500 << 20) + b'{}')\n"
        "    except OSError: pass\n"
    )
    _, [lost, after] = run(code, "1", sandbox=ProcessSandbox(memory_mb=64))
    assert lost.error is not None
    assert "a frame claims 2 + 524,288,000 bytes" in lost.error.message
    assert after.value == "1"


NO_NAMESPACES = "from guest import namespaces; namespaces._unshare = lambda flags: False"
NO_MOUNTS = "from guest import namespaces; namespaces._mount = lambda *a: False"
NO_PROC = "from guest import namespaces; namespaces.Root.processes = lambda self: False"
NO_SEAL = "from guest import namespaces; namespaces.Root.seal = lambda self: False"
NO_SECCOMP = "from guest import seccomp; seccomp.install = lambda body: False"
NO_COUNT = "from guest import namespaces; namespaces.bounded = lambda most: False"


@pytest.mark.parametrize(
    ("patch", "missing"),
    [
        (NO_NAMESPACES, "a root of its own: cells can see which files exist"),
        (NO_NAMESPACES, "a namespace of process numbers: others are in sight"),
        (NO_MOUNTS, "a root of its own"),
        (NO_PROC, "a root of its own"),
        (NO_SEAL, "a root of its own"),
        (NO_SECCOMP, "seccomp"),
    ],
)
def test_where_a_wall_lacks_it_is_said_and_the_others_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, patch: str, missing: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk-1", encoding="utf-8")
    weakened(monkeypatch, patch)
    facts, [own, read, write, connect] = run(
        "open('x', 'w').write('yes'), 6 * 7",
        f"open({str(secret)!r}).read()",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
        sandbox=ProcessSandbox(),
    )
    assert any(said.startswith(missing) for said in facts["missing"]), facts["missing"]
    assert own.value == "(3, 42)"
    assert connect.error is not None
    if landlock.abi():
        assert read.error is not None
        assert write.error is not None
    assert list(tmp_path.iterdir()) == [secret]
    with pytest.raises(SandboxError, match=r"missing: (.|\n)*`rlm doctor`"):
        run("1", sandbox=WHOLE)


@pytest.mark.parametrize(("processes", "what"), [(0, "threads"), (2, "processes and threads")])
def test_without_a_way_to_count_tasks_it_is_said(
    monkeypatch: pytest.MonkeyPatch, processes: int, what: str
) -> None:
    weakened(monkeypatch, NO_COUNT)
    facts, [done] = run("1", sandbox=ProcessSandbox(processes=processes))
    assert done.ok
    assert facts["missing"] == [f"a bound on the number of {what}"]
    assert f"{what} as memory allows" in facts["walls"]["processes"]


@pytest.mark.parametrize("processes", [0, 4])
def test_where_sessions_could_signal_each_other_it_is_said(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    need_landlock(abi=6)
    sandbox = ProcessSandbox(processes=processes)
    assert run("1", sandbox=sandbox)[0]["missing"] == []
    weakened(monkeypatch, "from guest import landlock; landlock.abi = lambda: 5")
    said = "Landlock of abi 6: sessions with processes can signal each other"
    assert run("1", sandbox=sandbox)[0]["missing"] == ([said] if processes else [])


def test_nothing_can_be_done_to_a_file_that_others_have_open(tmp_path: Path) -> None:
    """All sessions of a place, and it may be the host, have the same open file."""
    path = tmp_path / "given.txt"
    path.write_text("as it was", encoding="utf-8")

    async def main() -> list[Execution]:
        given = {"file": File(path)}
        code = (
            "import fcntl\nfor call, flag in [(fcntl.F_SETFL, 0x4000), (1024, fcntl.F_RDLCK)]:\n"
            "    try: print(fcntl.fcntl(file._fd, call, flag))\n"
            "    except OSError as error: print(error.strerror)\n"
            "fcntl.flock(file._fd, fcntl.LOCK_EX)\n"
            "try: fcntl.ioctl(file._fd, 0x40086602, bytes(8))\n"
            "except OSError as error: print(error.strerror)"
        )
        async with WHOLE.start(given, CellLimits()) as place:
            async with place.open(given, {}, OpenOptions()) as session:
                done = [await session.execute(code)]
            with path.open("r+") as mine:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            async with place.open(given, {}, OpenOptions()) as session:
                return [*done, await session.execute("file.text")]

    done, read = asyncio.run(main())
    refused = "Operation not permitted\n"
    assert done.stdout == f"{refused}{refused}Inappropriate ioctl for device\n", done.error
    assert read.value == "'as it was'"


def test_a_session_that_a_wall_does_not_hold_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    first = "from guest import seccomp; real = seccomp.install; done = []"
    then = "seccomp.install = lambda body: not done and (done.append(1), real(body))[1]"
    weakened(monkeypatch, f"{first}; {then}")
    with pytest.raises(SandboxError, match="a session did not start"):
        run("1", sandbox=ProcessSandbox())


def test_elsewhere_there_are_plain_limits_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loader = _zygote_process._LOADER.replace("from guest", "sys.platform = 'freebsd15'; from guest")
    monkeypatch.setattr(_zygote_process, "_LOADER", loader)
    facts, [own, big, after] = run(
        "open('x', 'w').write('yes'), 6 * 7",
        "b = bytearray(600 << 20)",
        "'again'",
        sandbox=ProcessSandbox(),
    )
    assert (own.value, after.value) == ("(3, 42)", "'again'")
    assert big.error is not None
    assert facts["walls"]["files"] == "not confined"
    assert "a wall around files: cells can use those that this user can" in facts["missing"]
    assert "a wall around the network: cells can use it" in facts["missing"]
    assert any("what Linux offers, on freebsd15" in said for said in facts["missing"])
    with pytest.raises(SandboxError, match="a wall around files"):
        run("1")


@pytest.mark.parametrize(
    ("place", "header"),
    [
        (0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        (1, "/usr/include/asm-generic/unistd.h"),  # the numbers of arm64
    ],
)
def test_the_table_of_calls_has_what_the_header_files_say(place: int, header: str) -> None:
    """Where the kernel's header files are installed, every number that they know is theirs."""
    if not Path(header).exists():
        pytest.skip("no header files of this kernel")
    found = re.findall(
        r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", Path(header).read_text(encoding="utf-8"), re.M
    )
    theirs = {name: int(number) for name, number in found}
    ours = {name: pair[place] for name, pair in NUMBERS.items() if name in theirs}
    assert len(ours) > 190
    assert ours == {name: theirs[name] for name in ours}
    absent = {name for name, pair in NUMBERS.items() if pair[place] is None}
    assert not absent & theirs.keys()
