from __future__ import annotations

import io
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import rlm.guest
from rlm.sandbox._archive import archive

HOST = str(Path(rlm.guest.__file__).parent)


def test_every_module_of_the_guest_is_in_it_as_source_and_compiled() -> None:
    with zipfile.ZipFile(io.BytesIO(archive())) as file:
        names = set(file.namelist())
    modules = {f"guest/{each.name}" for each in Path(HOST).glob("*.py")}
    assert names == modules | {f"{name}c" for name in modules} | {"__main__.py"}


def test_nothing_in_it_tells_where_the_host_has_its_files() -> None:
    with zipfile.ZipFile(io.BytesIO(archive())) as file:
        for name in file.namelist():
            content = file.read(name)
            assert os.fsencode(HOST) not in content
            if name.endswith(".pyc"):
                assert marshal.loads(content[16:]).co_filename == name[:-1]


def test_it_imports_compiled_and_from_source_where_the_python_is_another(tmp_path: Path) -> None:
    path = tmp_path / "guest.zip"
    for other in (False, True):
        with (
            zipfile.ZipFile(io.BytesIO(archive())) as made,
            zipfile.ZipFile(path, "w") as file,
        ):
            for name in made.namelist():
                content = made.read(name)
                if other and name.endswith(".pyc"):
                    content = b"\0\0\r\n" + content[4:]
                file.writestr(name, content)
        code = "import sys; sys.path.insert(0, sys.argv[1]); from guest import zygote as z; "
        code += "print(z.main.__code__.co_filename)"
        words = [sys.executable, "-S", "-c", code, str(path)]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        assert found == (f"{path}/guest/zygote.py" if other else "guest/zygote.py")
