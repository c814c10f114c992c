"""What sessions could leave on a machine: processes, descriptors, files, mounts, memory."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Held", "held", "kin", "marked", "resident"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Held:
    """What this process holds: its descendants, descriptors, temporary files, mounts, mappings."""

    processes: frozenset[int]
    descriptors: tuple[str, ...]
    files: tuple[str, ...]
    mounts: tuple[str, ...]
    mappings: int


def held(folder: Path) -> Held:
    """Return what this process holds now; `folder` is where its temporary files go."""
    gc.collect()
    own = Path("/proc/self")
    mounts = (own / "mounts").read_text(encoding="utf-8").splitlines()
    maps = (own / "maps").read_text(encoding="utf-8").splitlines()
    return Held(
        processes=frozenset(kin(os.getpid())),
        descriptors=tuple(sorted(_descriptors())),
        files=tuple(sorted(os.listdir(folder))),
        mounts=tuple(line for line in mounts if "rlm-" in line or str(folder) in line),
        mappings=sum("memfd:" in line for line in maps),
    )


def _descriptors() -> list[str]:
    found = []
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(entry.path)
        except FileNotFoundError:
            continue  # the one that reads this folder
        found.append(target.partition(":")[0])  # sockets have numbers that nobody knows
    return found


def kin(ancestor: int) -> set[int]:
    """Return the processes below this one, zombies too, by the kernel's own list."""
    found: set[int] = set()
    try:
        tasks = list(Path(f"/proc/{ancestor}/task").iterdir())
    except FileNotFoundError:
        return found
    for task in tasks:
        try:
            children = (task / "children").read_text(encoding="ascii").split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended
        for child in children:
            found |= {int(child)} | kin(int(child))
    return found


def marked(hash_seed: int) -> set[int]:
    """Return the living processes that a zygote with this seed began, wherever they have gone."""
    mark = f"PYTHONHASHSEED={hash_seed}\0".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue  # it has just ended, or is a zombie
    return found


def resident() -> int:
    """Return the bytes of memory that this process has in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
