"""The walls of a container: what an engine is asked for, and what must be found of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["asked_for", "missing_inside", "missing_outside", "unseen_inside"]


def asked_for(sandbox: DockerSandbox, inputs: int, counts_files: bool = True) -> dict[str, Any]:
    """Return what confines the container, in the engine's words, with `inputs` bytes more.

    `counts_files` is whether the engine can bound the number of files.
    """
    # what sessions write and what one of them prints is in memory, too, and nobody's
    memory = (int(sandbox.memory_mb) + 3 * int(sandbox.scratch_mb) << 20) + inputs
    scratch = f"rw,noexec,nosuid,nodev,size={sandbox.scratch_mb}m,mode=1777"
    if counts_files:
        scratch += f",nr_inodes={max(int(sandbox.scratch_mb) * 64, 1024)}"
    return {
        "network_mode": "default" if sandbox.network else "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(sandbox.cpus * 1_000_000_000),
        "pids_limit": int(sandbox.pids),
        "tmpfs": {"/tmp": scratch},
        "ipc_mode": "private",
        "runtime": sandbox.runtime,
    }


def missing_inside(seen: Mapping[str, Any], network: bool) -> list[str]:
    """Return in words the walls that a guest does not find; `seen` is what it says it sees."""
    devices = ", ".join(sorted({*seen["devices"]} - {"lo"}))
    lacks = {
        "an ordinary user: it runs as root": seen["uid"] == 0 or seen["gid"] == 0,
        "dropped capabilities": any(held.strip("0") for held in seen["capabilities"]),
        "no_new_privs": not seen["no_new_privs"],
        "a read-only root": not seen["read_only"],
        f"the absence of a network: it has {devices}": bool(devices) and not network,
    }
    return [words for words, lacking in lacks.items() if lacking]


def unseen_inside(seen: Mapping[str, Any]) -> list[str]:
    """Return in words what a guest cannot see, though somebody outside may keep it.

    Under gVisor that is all of this: its own kernel stands where seccomp would, and the limits
    are those of the process that it is.
    """
    lacks = {
        "the engine's seccomp profile": not seen["seccomp"],
        "a limit of memory that can be seen": seen["memory"] is None,
        "a limit of processes that can be seen": seen["pids"] is None,
    }
    return [words for words, lacking in lacks.items() if lacking]


def missing_outside(found: Mapping[str, Any], network: bool) -> list[str]:
    """Return in words the walls that the engine does not know of a container that it shows."""
    host = found["HostConfig"]
    user = str(found["Config"].get("User") or "0").split(":")[0]
    options = host.get("SecurityOpt") or ()
    mounts = [str(mount.get("Destination")) for mount in found.get("Mounts") or ()]
    lacks = {
        "an ordinary user: it runs as root": user in ("0", "root"),
        "dropped capabilities": bool(host.get("Privileged") or host.get("CapAdd")),
        "no_new_privs": not any("no-new-privileges" in option for option in options),
        "a read-only root": not host.get("ReadonlyRootfs"),
        "a limit of memory": (host.get("Memory") or 0) <= 0,
        "a limit of processes": (host.get("PidsLimit") or 0) <= 0,
        "the absence of devices": bool(host.get("Devices")),
        f"the absence of mounts: it has {', '.join(mounts)}": bool(mounts),
    }
    missing = [words for words, lacking in lacks.items() if lacking]
    return [*missing, *_shared(host), *_other_network(host.get("NetworkMode"), network)]


def _shared(host: Mapping[str, Any]) -> Iterator[str]:
    for name in ("PidMode", "IpcMode", "UTSMode"):
        if str(host.get(name) or "").startswith(("host", "container")):
            yield f"namespaces of its own: {name} is {host[name]!r}"


def _other_network(mode: Any, network: bool) -> Iterator[str]:
    if network and mode == "none":
        yield "the network that network=True asks for"
    elif not network and mode != "none":
        yield f"the absence of a network: it has {mode!r}, and network=True was not asked for"
