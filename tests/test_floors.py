"""The floors of ARCHITECTURE.md hold every module: one that is not listed would not be checked."""

from __future__ import annotations

import configparser
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def _floors() -> set[str]:
    parser = configparser.ConfigParser()
    parser.read(HERE / ".importlinter", encoding="utf-8")
    layers = parser["importlinter:contract:floors"]["layers"]
    return {name.strip() for line in layers.split("\n") for name in line.split(":") if name.strip()}


def test_every_module_is_on_a_floor() -> None:
    floors = _floors()
    outside = []
    for path in sorted((HERE / "rlm").rglob("*.py")):
        parts = path.relative_to(HERE).with_suffix("").parts
        above = {".".join(parts[:count]) for count in range(2, len(parts) + 1)}
        if path.name != "__init__.py" and not above & floors:
            outside.append(".".join(parts))
    assert not outside, f"add to a layer of .importlinter: {outside}"


def test_the_floors_name_modules_that_exist() -> None:
    for name in _floors():
        path = HERE.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
