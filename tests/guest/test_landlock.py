from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from engines import need_landlock

import rlm
from rlm.errors import SandboxError
from rlm.files import File
from rlm.guest import landlock
from rlm.sandbox import _zygote_process
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Place
from rlm.sandbox.process import ProcessSandbox


@pytest.fixture(autouse=True)
def kernel() -> None:
    need_landlock()


PROGRAMS = ProcessSandbox(processes=8)
REFUSED = ("PermissionError", "OSError", "FileNotFoundError")  # what is not shown is not found


@asynccontextmanager
async def place_of(
    inputs: dict[str, Any] | None = None, sandbox: ProcessSandbox | None = None
) -> AsyncIterator[Place]:
    limits = CellLimits(seconds=60, memory_mb=1024)
    async with (sandbox or ProcessSandbox()).start(inputs or {}, limits) as place:
        yield place


def cells(
    *codes: str, inputs: dict[str, Any] | None = None, sandbox: ProcessSandbox | None = None
) -> list[Execution]:
    async def main() -> list[Execution]:
        async with (
            place_of(inputs, sandbox) as place,
            place.open(inputs or {}, {}, OpenOptions()) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def refused(*codes: str, sandbox: ProcessSandbox | None = None) -> None:
    for code, done in zip(codes, cells(*codes, sandbox=sandbox), strict=True):
        assert done.error is not None, (code, done.value)
        assert done.error.type in REFUSED, (code, done.error)


def without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start zygotes whose kernel speaks no Landlock."""
    loader = _zygote_process._LOADER.replace(
        "main()", "from guest import landlock; landlock.abi = lambda: 0; main()"
    )
    monkeypatch.setattr(_zygote_process, "_LOADER", loader)


@pytest.mark.parametrize("sandbox", [ProcessSandbox(), PROGRAMS])
def test_what_is_not_the_interpreters_cannot_be_read(
    sandbox: ProcessSandbox, tmp_path: Path
) -> None:
    key = tmp_path / "key.txt"
    key.write_text("sk-secret", encoding="utf-8")
    package = Path(rlm.__file__).parent
    paths = [
        "/etc/passwd", "/etc/hostname", "/proc/1/environ", f"/proc/{os.getpid()}/mem",
        f"/proc/{os.getpid()}/environ", str(key), str(package / "__init__.py"),
    ]  # fmt: skip
    folders = ["/", "/etc", "/tmp", "/proc", str(Path.home()), str(package.parent), str(tmp_path)]
    reads = [f"open({path!r}, 'rb').read()" for path in paths]
    refused(*reads, *(f"import os; os.listdir({path!r})" for path in folders), sandbox=sandbox)


@pytest.mark.parametrize("sandbox", [ProcessSandbox(), PROGRAMS])
def test_nothing_outside_of_the_scratch_folder_can_be_changed(
    sandbox: ProcessSandbox, tmp_path: Path
) -> None:
    victim, folder = tmp_path / "victim.txt", tmp_path / "folder"
    victim.write_text("as it was", encoding="utf-8")
    folder.mkdir()
    before = victim.stat()
    refused(
        "open('/etc/rlm-test', 'w')",
        "open('/tmp/rlm-test', 'w')",
        "import os; open(os.path.join(os.path.dirname(os.__file__), 'rlm_test.py'), 'w')",
        f"open({str(victim)!r}, 'a')",
        f"os.truncate({str(victim)!r}, 0)",
        f"os.open({str(victim)!r}, os.O_RDONLY | os.O_TRUNC)",
        f"os.unlink({str(victim)!r})",
        f"os.rename({str(victim)!r}, 'stolen')",
        f"open('mine', 'w').close(); os.rename('mine', {str(victim)!r})",
        f"os.link({str(victim)!r}, 'linked')",
        f"os.link('mine', {str(folder / 'linked')!r})",
        f"os.symlink({str(victim)!r}, 'pointer'); open('pointer').read()",
        "open('pointer', 'w')",
        f"os.mkdir({str(folder / 'new')!r})",
        f"os.rmdir({str(folder)!r})",
        f"os.symlink('x', {str(folder / 'pointer')!r})",
        f"os.mkfifo({str(folder / 'fifo')!r})",
        f"os.chown({str(victim)!r}, 1, 1)",
        f"os.setxattr({str(victim)!r}, 'user.x', b'y')",
        "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        sandbox=sandbox,
    )
    marks = f"os.chmod({str(victim)!r}, 0o777); os.utime({str(victim)!r}, (1, 1))"
    assert cells(f"import os; {marks}", sandbox=sandbox)[0].ok  # they do nothing
    after = victim.stat()
    assert (after.st_mode, after.st_mtime, after.st_nlink) == (
        before.st_mode, before.st_mtime, 1,
    )  # fmt: skip
    assert victim.read_text(encoding="utf-8") == "as it was"
    assert list(folder.iterdir()) == []
    assert not Path("/etc/rlm-test").exists()


def test_the_scratch_folder_works_and_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    codes = [
        "open('notes.txt', 'w').write('kept'); open('notes.txt').read()",
        "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x'), f.seek(0), f.read()",
        "import os; os.path.dirname(tempfile.mkstemp()[1]) == os.getcwd()",
        "import sqlite3; db = sqlite3.connect('a.db'); db.execute('pragma temp_store = file')\n"
        "db.execute('create table t (n)'); db.executemany('insert into t values (?)',"
        " ((n * 7919 % 99991,) for n in range(50000))); db.commit()\n"
        "len(db.execute('select n from t order by n').fetchall())",
        "import shutil; os.makedirs('a/b'); shutil.copy('notes.txt', 'a')\n"
        "shutil.copy2('a.db', 'a'); shutil.copytree('a', 'c')\n"
        "shutil.move('a/notes.txt', 'c/b'); sorted(os.listdir('c'))",
        "import zipfile, tarfile\nwith tarfile.open('c.tar', 'w') as t: t.add('c')\n"
        "tarfile.open('c.tar').extractall('d')\nos.listdir('d')",
        "shutil.rmtree('c'); os.path.exists('c')",
    ]
    values = [(done.error, done.value) for done in cells(*codes)]
    assert [error for error, _ in values] == [None] * len(codes)
    assert [value for _, value in values] == [
        "'kept'", None, "True", "50000", "['a.db', 'b', 'notes.txt']", "['c']", "False",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_session_does_not_see_what_another_one_writes() -> None:
    async def main() -> Execution:
        async with (
            place_of() as place,
            place.open({}, {}, OpenOptions()) as one,
            place.open({}, {}, OpenOptions()) as other,
        ):
            said = await one.execute("import os; open('a', 'w').write('mine'); os.getcwd()")
            return await other.execute(f"open({said.value} + '/a').read()")

    done = asyncio.run(main())
    assert done.error is not None
    assert done.error.type == "PermissionError"


def test_every_module_that_imports_outside_imports_in_a_cell() -> None:
    names = sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib"})
    code = (
        f"def tried():\n  bad = {{}}\n  for name in {names!r}:\n"
        "    try: __import__(name)\n"
        "    except Exception as error: bad[name] = repr(error)\n  return bad\n"
    )
    outside: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated
        exec(code + "bad = tried()", outside)
    [done] = cells(code + "sorted(tried())")
    assert done.value == repr(sorted(outside["bad"]))


def test_what_the_standard_library_reads_is_there() -> None:
    codes = [
        "import zoneinfo; str(zoneinfo.ZoneInfo('UTC'))",
        "import mimetypes; mimetypes.guess_type('a.png')[0]",
        "import platform; platform.platform() != ''",
        "import ssl; ssl.create_default_context() is not None",
        "import time; time.localtime(0).tm_year >= 1969",
        "import os; bool(os.listdir('/proc/self/fd')), open(os.devnull, 'w').write('x')",
        "import inspect, json; 'def dumps' in inspect.getsource(json)",
        "import asyncio; await asyncio.sleep(0, 'looped')",
        "import random, secrets, uuid; uuid.uuid1() != uuid.uuid4()",
    ]
    done = cells(*codes)
    assert [cell.error for cell in done if cell.error] == []
    assert done[1].value == "'image/png'"


def test_inputs_and_programs_are_in_reach() -> None:
    inputs = {"f": File(text="some text", name="a.txt"), "big": "x" * 5_000_000}
    read, *_ = cells("f.text, f.find('text'), len(big)", inputs=inputs)
    assert read.value == "('some text', 5, 5000000)"
    code = "import subprocess, sys\nout = lambda *a: subprocess.check_output(a, text=True)\n"
    ran, own = cells(
        code + "out('sh', '-c', 'echo x > made; cat made')",
        "out(sys.executable, '-S', '-c', 'import json; print(json.dumps([1]))')",
        sandbox=PROGRAMS,
    )
    assert (ran.value, own.value) == (r"'x\n'", r"'[1]\n'")
    refused(
        "import subprocess; subprocess.check_output(['cat', '/etc/passwd'])",
        sandbox=ProcessSandbox(),
    )
    [failed] = cells(code + "out('cat', '/etc/passwd')", sandbox=PROGRAMS)
    assert failed.error is not None
    assert failed.error.type == "CalledProcessError"


def test_processes_share_locks_and_memory_with_each_other_only() -> None:
    before = os.listdir("/dev/shm")
    pool, memory, names = cells(
        "import multiprocessing as m\n"
        "with m.get_context('fork').Pool(2) as p: print(p.map(abs, [-1]))",
        "from multiprocessing import shared_memory\n"
        "s = shared_memory.SharedMemory(create=True, size=10, name='rlm-test'); s.size",
        "import os; os.listdir('/dev/shm')",
        sandbox=PROGRAMS,
    )
    assert (pool.stdout, memory.error, names.value) == ("[1]\n", None, "['rlm-test']")
    assert os.listdir("/dev/shm") == before
    refused("open('/dev/shm/x', 'w')")


def test_facts_name_the_fence() -> None:
    async def main() -> Any:
        async with place_of() as place:
            return place.facts

    facts = asyncio.run(main())
    said = f"landlock abi {landlock.abi()}: reads the interpreter"
    assert said in facts["walls"]["files"]
    assert not any("Landlock:" in missing for missing in facts["missing"])


def test_without_landlock_cells_run_and_it_is_said_that_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_landlock(monkeypatch)

    async def main() -> tuple[Any, Execution]:
        async with place_of() as place, place.open({}, {}, OpenOptions()) as session:
            return place.facts, await session.execute("open('x', 'w').write('yes')")

    facts, done = asyncio.run(main())
    assert "landlock" not in facts["walls"]["files"]
    assert "no Landlock: cells can read and write the files that this user can" in facts["missing"]
    assert done.ok
    with pytest.raises(SandboxError, match="no Landlock: cells can read and write"):
        cells("1", sandbox=ProcessSandbox(require_confinement=True))
