"""The cells of the probes: each tries to climb one wall, and says in its last line how it went.

`climbed`, `held` or `untried`, and why, in words that hold nothing of what was found; that is
printed before, for whoever planted it to recognise.
"""

from __future__ import annotations

__all__ = ["CELLS", "SIBLING"]

_CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
kind = os.uname().machine if sys.platform == "linux" else ""
known = kind in ("x86_64", "aarch64")
def call(x86, arm, *args):
    number = {"x86_64": x86, "aarch64": arm}.get(kind)
    if number is None:
        return -1, 38
    made = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in args))
    return made, ctypes.get_errno() if made < 0 else 0
def reach(names):
    found = [name for name, x86, arm, *args in names if call(x86, arm, *args)[1] not in (1, 13, 38)]
    if not known:
        print("untried", "the numbers of this system's calls are not known")
    elif found:
        print("climbed", "the kernel looked at", ", ".join(found))
    else:
        print("held", f"{len(names)} calls are refused")
"""
"""Calls the kernel by number, with arguments that do nothing. EPERM, EACCES and ENOSYS are
refusals; any other answer is that of a kernel which looked at what it was asked."""

_TRY = """
import os
climbed, said = [], []
def tried(what, function, *args):
    try:
        found = function(*args)
    except (OSError, ValueError) as error:
        said.append(f"{what}: {getattr(error, 'strerror', None) or error}")
    else:
        climbed.append(what)
        print(found)
def told():
    if climbed:
        print("climbed", ", ".join(dict.fromkeys(climbed)))
    else:
        print("held", "; ".join(dict.fromkeys(said))[:200])
"""

_END = """
told()
"""

_FILES = [
    ("reads a file of yours", "", _TRY + """
def read(path):
    with open(path, "rb") as file:
        return file.read(200)
tried("open", read, planted["file"])
""" + _END),
    ("reads it through links and /proc", "", _TRY + """
def by_link(make):
    make(planted["file"], "link")
    with open("link", "rb") as file:
        return file.read(200)
def read(path):
    with open(path, "rb") as file:
        return file.read(200)
tried("symbolic link", by_link, os.symlink)
if os.path.lexists("link"): os.unlink("link")
tried("hard link", by_link, os.link)
for pid in (os.getppid(), planted["victim"], 1, "self"):
    tried("/proc/PID/root", read, f"/proc/{pid}/root{planted['file']}")
    tried("/proc/PID/cwd", read, f"/proc/{pid}/cwd{planted['file']}")
""" + _END),
    ("reads it by way of objects and modules", "", """
climbed, said = [], []
def by_objects(path):
    for one in ().__class__.__base__.__subclasses__():
        found = getattr(one.__init__, "__globals__", {}).get("__builtins__", {})
        if isinstance(found, dict) and "open" in found:
            return found["open"](path).read()
def by_modules(path):
    import json
    return json.codecs.open(path).read()
for way in (by_objects, by_modules):
    try:
        print(way(planted["file"]))
    except (OSError, AttributeError, ImportError) as error:
        said.append(str(error))
print("held", "; ".join(said)[:200])
"""),
    ("lists your home folder", "", _TRY + """
def listed(path):
    names, own = os.listdir(path), os.stat(path)
    if [own.st_dev, own.st_ino] != planted["home_is"]:
        raise OSError(0, "a folder of its own stands there")
    return f"{len(names)} names"
tried("listdir", listed, planted["home"])
""" + _END),
    ("writes outside its scratch", "", _TRY + """
def write(path):
    with open(path, "x") as file:
        file.write("was here")
for folder in (planted["folder"], *planted["shared"]):
    try:
        write(os.path.join(folder, planted["stray"]))
    except OSError as error:
        said.append(f"{folder}: {error.strerror}")
""" + _END),
    ("changes a file of yours", "", _TRY + """
def quietly(function, *args):
    try:
        function(*args)
    except OSError as error:
        said.append(str(error.strerror))
def append():
    with open(planted["file"], "ab") as file:
        file.write(b"was here")
quietly(append)
quietly(os.chmod, planted["file"], 0o666)
quietly(os.truncate, planted["file"], 0)
quietly(os.rename, planted["file"], planted["file"] + ".moved")
quietly(os.unlink, planted["file"])
""" + _END),
    ("writes into the interpreter's library", "", _TRY + """
import json
def write(folder):
    path = os.path.join(folder, planted["stray"])
    with open(path, "x") as file:
        file.write("")
    os.unlink(path)
for module in (os, json):
    tried("library", write, os.path.dirname(module.__file__))
""" + _END),
    ("opens a device", "", _TRY + """
import stat
def opened(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
for name in ("mem", "kmsg", "port", "kvm", "fuse", "net/tun", "sda", "vda", "nvme0n1", "tty"):
    tried(f"/dev/{name}", opened, f"/dev/{name}")
def made():
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    opened("device")
tried("mknod", made)
""" + _END),
    ("opens settings of the machine for writing", "", _TRY + """
def opened(path):
    os.close(os.open(path, os.O_WRONLY))
for path in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/vm/drop_caches",
             "sysrq-trigger", f"{planted['victim']}/oom_score_adj", f"{os.getppid()}/mem"):
    tried(f"/proc/{path}", opened, f"/proc/{path}")
""" + _END),
]  # fmt: skip

_DISK = [
    ("fills its scratch", "scratch_mb", """
import os
piece, written, limit = b"x" * (1 << 20), 0, bound + bound // 4 + 8
try:
    for number in range(limit // 4 + 1):
        with open(f"fill{number}", "wb") as file:
            for _ in range(4):
                file.write(piece)
                written += 1
except OSError as error:
    print("held", f"after {written} MiB: {error.strerror}")
else:
    print("climbed", f"{written} MiB written, the bound is {bound}")
finally:
    for name in os.listdir():
        if name.startswith("fill"):
            os.unlink(name)
"""),
]  # fmt: skip

_NETWORK = [
    ("connects by TCP", "", _TRY + """
import socket
def connect():
    socket.create_connection(("127.0.0.1", planted["tcp"]), 0.5).close()
tried("127.0.0.1", connect)
""" + _END),
    ("asks a name server by UDP", "", _TRY + """
import socket
question = b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\3org\\0\\0\\1\\0\\1"
def ask():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(question, ("127.0.0.1", planted["udp"]))
try:
    ask()
    said.append("it was sent, and did not arrive")
except OSError as error:
    said.append(error.strerror)
""" + _END),
    ("connects to Unix sockets", "", _TRY + """
import socket
def connect(where):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0.5)
        sock.connect(where)
tried("by its path", connect, planted["socket"])
tried("by its abstract name", connect, planted["abstract"].encode())
""" + _END),
    ("makes sockets of other kinds", "", _TRY + """
import socket
def make(family, kind, protocol):
    socket.socket(family, kind, protocol).close()
for name, *numbers in (("netlink", 16, 3, 0), ("packet", 17, 3, 768), ("vsock", 40, 1, 0),
                       ("raw", 2, 3, 1), ("key", 15, 3, 2), ("alg", 38, 5, 0),
                       ("bluetooth", 31, 3, 1)):
    tried(name, make, *numbers)
""" + _END),
]  # fmt: skip

_PROCESSES = [
    ("forks", "", _CALL + _TRY + """
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
tried("fork", fork)
def clone():
    pid, error = call(56, 220, 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if error:
        raise OSError(error, os.strerror(error))
    os.waitpid(pid, 0)
tried("clone", clone)
""" + _END),
    ("runs a program", "", _TRY + """
import subprocess
for program in ("/bin/true", "/usr/bin/true", "/bin/sh"):
    if os.path.exists(program):
        tried("run", lambda: subprocess.run([program, "-c", ""], timeout=5) and program)
if not said:
    said.append("no program is there")
""" + _END),
    ("starts threads beyond its bound", "threads", """
import threading
done, started = threading.Event(), []
try:
    for _ in range(bound + 16):
        thread = threading.Thread(target=done.wait, daemon=True)
        thread.start()
        started.append(thread)
except RuntimeError as error:
    print("held", f"after {len(started)}: {error}")
else:
    print("climbed", f"{len(started)} threads, the bound is {bound}")
finally:
    done.set()
    for thread in started:
        thread.join()
"""),
]  # fmt: skip

_SIGNALS = [
    ("asks for other processes by signal 0", "", _TRY + """
for pid in (os.getppid() or 1, 1, planted["victim"]):
    if pid != os.getpid():
        tried("kill", os.kill, pid, 0)
""" + _END),
    ("signals a process of yours", "", _CALL + """
import signal, time
said = []
try:
    os.kill(planted["victim"], signal.SIGWINCH)
    said.append("kill: nobody of yours")
except OSError as error:
    said.append(f"kill: {error.strerror}")
fd, error = call(434, 434, planted["victim"], 0)
if not error:
    call(424, 424, fd, signal.SIGWINCH, 0, 0)
    os.close(fd)
time.sleep(0.02)
print("held", "; ".join(said))
"""),
    ("changes the priority of a process of yours", "", _TRY + """
tried("setpriority", os.setpriority, os.PRIO_PROCESS, planted["victim"], 7)
if climbed:
    climbed.clear()
    said.append("nobody of yours")
""" + _END),
]  # fmt: skip

_MEMORY = [
    ("allocates beyond its bound", "memory_mb", """
size = (bound + 256) << 20
try:
    found = bytearray(size)
    found[::4096] = bytes(len(range(0, size, 4096)))
except MemoryError:
    print("held", "MemoryError")
else:
    print("climbed", f"{size >> 20} MiB, the bound is {bound}")
    del found
"""),
    ("maps shared memory beyond its bound", "memory_mb", """
import mmap
size = (bound + 256) << 20
try:
    found = mmap.mmap(-1, size)
    for place in range(0, size, 4096):
        found[place] = 1
except (OSError, MemoryError) as error:
    print("held", getattr(error, "strerror", None) or "MemoryError")
else:
    print("climbed", f"{size >> 20} MiB, the bound is {bound}")
    found.close()
"""),
    ("fills files in memory beyond its bound", "memory_mb", """
import os
piece, written, fds, said = bytes(1 << 20), 0, [], ""
try:
    while written < bound + 256 and len(fds) < 64:
        fds.append(os.memfd_create("probe"))
        try:
            while written < bound + 256:
                written += os.write(fds[-1], piece) >> 20
        except OSError as error:
            said = error.strerror  # a file has a bound, too: try the next
except OSError as error:
    said = error.strerror
finally:
    for fd in fds:
        os.close(fd)
if written < bound + 256:
    print("held", f"after {written} MiB: {said}")
else:
    print("climbed", f"{written} MiB, the bound is {bound}")
"""),
    ("fills pairs of sockets beyond its bound", "memory_mb", """
import socket
held, written, said = [], 0, "no more fits"
try:
    while written < (bound + 64) << 20:
        held.append(socket.socketpair())
        for one in held[-1]:
            one.setblocking(False)
            try:
                while True:
                    written += one.send(bytes(1 << 16))
            except BlockingIOError:
                pass
except OSError as error:
    said = error.strerror
if written < (bound + 64) << 20:
    print("held", f"after {written >> 20} MiB: {said}")
else:
    print("climbed", f"{written >> 20} MiB, the bound is {bound}")
"""),
]  # fmt: skip

_CPU = [
    ("computes beyond its time", "", """
import time
end = time.monotonic() + 5
while time.monotonic() < end:
    pass
print("climbed", "it computed for 5 s")
"""),
]  # fmt: skip

_PRIVILEGES = [
    ("has capabilities, or may gain some", "", _CALL + """
with open("/proc/self/status", encoding="ascii") as file:
    lines = dict(line.split(":", 1) for line in file)
has = {name: lines.get(name, "0").strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
found = [f"{name} {value}" for name, value in has.items() if int(value, 16)]
no_more = lines["NoNewPrivs"] if "NoNewPrivs" in lines else call(157, 167, 39, 0, 0, 0, 0)[0]
if int(no_more) != 1:
    found.append("a set-uid program would raise them")
print("climbed" if found else "held", "; ".join(found) or "none, and no_new_privs")
"""),
    ("becomes root", "", _CALL + """
if os.getuid() == 0 and os.geteuid() == 0:
    made, error = call(114, 145, 54321, 54321)
    print("held" if error else "climbed", "it is user 0, without its powers" if error else "setuid")
else:
    made, error = call(105, 146, 0)
    print("held" if error else "climbed", os.strerror(error) if error else "setuid(0)")
"""),
]  # fmt: skip

_SYSTEM_CALLS = [
    ("traces processes", "", _CALL + """
own = os.getpid()
reach([("ptrace", 101, 117, 0x4300, own, 0, 0), ("process_vm_readv", 310, 270, own, 0, 0, 0, 0, 1),
         ("process_vm_writev", 311, 271, own, 0, 0, 0, 0, 1), ("pidfd_getfd", 438, 438, -1, -1, 0)])
"""),
    ("mounts", "", _CALL + """
reach([("mount", 165, 40, 0, 0, 0, 0, 0), ("umount2", 166, 39, 0, 0), ("chroot", 161, 51, 0),
         ("pivot_root", 155, 41, 0, 0), ("open_tree", 428, 428, -1, 0, 0xFFFF),
         ("move_mount", 429, 429, -1, 0, -1, 0, 0), ("fsopen", 430, 430, 0, 0),
         ("mount_setattr", 442, 442, -1, 0, 0, 0, 0)])
"""),
    ("makes namespaces", "", _CALL + """
reach([("unshare", 272, 97, 0), ("setns", 308, 268, -1, 0)])
"""),
    ("loads programs and modules into the kernel", "", _CALL + """
reach([("bpf", 321, 280, 999, 0, 0), ("init_module", 175, 105, 0, 0, 0),
         ("finit_module", 313, 273, -1, 0, 0), ("kexec_load", 246, 104, 0, 0, 0, 0)])
"""),
    ("reaches io_uring, perf and userfaultfd", "", _CALL + """
reach([("io_uring_setup", 425, 425, 0, 0), ("perf_event_open", 298, 241, 0, 0, 0, 0, 0),
         ("userfaultfd", 323, 282, 0xFFFF)])
"""),
    ("reads keyrings and the kernel's log", "", _CALL + """
reach([("keyctl", 250, 219, 0, -3, 0), ("add_key", 248, 217, 0, 0, 0, 0, 0),
         ("request_key", 249, 218, 0, 0, 0, 0),
       ("syslog", 103, 116, 10, 0, 0)])
"""),
    ("calls by the numbers of another architecture", "", _CALL + """
if os.uname().machine == "x86_64":
    made, error = call(0x40000000 + 39, None)
    print("held" if error or made != os.getpid() else "climbed", "x32")
else:
    print("untried", "this machine knows one architecture")
"""),
]  # fmt: skip

_NAMESPACES = [
    ("stays in a namespace of yours", "", """
import os
files = {"mount": "mnt", "network": "net"}
promised = [files.get(each, each) for each in promise.split(", ") if promise]
own, shared, said = [], [], []
for name in promised or ("ipc", "mnt", "pid", "uts"):
    try:
        same = os.stat(f"/proc/self/ns/{name}").st_ino == planted["namespaces"].get(name)
        (shared if same else own).append(name)
    except OSError as error:
        said.append(f"{name}: {error.strerror}")
if shared and promised:
    print("climbed", "it is in yours of", ", ".join(shared))
elif own and not shared:
    print("held", "it has its own of", ", ".join(own))
else:
    print("untried", "; ".join(said) or "it promises none, and is in those of its machine")
"""),
    ("joins a namespace of yours", "", _CALL + _TRY + """
def join(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        _, error = call(308, 268, fd, 0)
    finally:
        os.close(fd)
    if error:
        raise OSError(error, os.strerror(error))
for pid in {planted["victim"], os.getppid() or 1, 1} - {os.getpid()}:
    for name in ("ipc", "net", "uts"):
        tried("setns", join, f"/proc/{pid}/ns/{name}")
told()
"""),
]  # fmt: skip

_DESCRIPTORS = [
    ("reads descriptors of the host", "", """
import os, socket, stat
found, listeners = [], []
for fd in range(4096):
    try:
        kind = os.fstat(fd).st_mode
    except OSError:
        continue
    if stat.S_ISREG(kind):
        try:
            found.append(os.pread(fd, 200, 0))
        except OSError:
            pass
    elif stat.S_ISSOCK(kind):
        try:
            sock = socket.socket(fileno=fd)
            name = sock.getsockname()
            sock.detach()
        except OSError:
            continue
        if isinstance(name, tuple) and planted["tcp"] in name:
            listeners.append(fd)
print(found)
if listeners:
    print("climbed", "it has the host's listener")
else:
    print("held", f"{len(found)} files are open, all of its own")
"""),
    ("opens descriptors without end", "", """
import os
found = []
try:
    while len(found) < 5000:
        found.append(os.open(os.curdir, os.O_RDONLY))
except OSError as error:
    print("held", f"after {len(found)}: {error.strerror}")
else:
    print("climbed", f"{len(found)} are open")
finally:
    for fd in found:
        os.close(fd)
"""),
]  # fmt: skip

_ENVIRONMENT = [
    ("finds variables of yours", "", _TRY + """
def read(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()
found = [repr(dict(os.environ))]
for pid in ("self", os.getppid(), 1, planted["victim"]):
    try:
        found.append(read(pid).decode("utf-8", "replace"))
    except OSError as error:
        said.append(f"/proc/{pid}/environ: {error.strerror}")
print(" ".join(found).replace("\\0", " "))
print("held", f"it has {len(dict(os.environ))} variables, none of yours")
"""),
]  # fmt: skip

_SIBLINGS = [
    ("finds the scratch of a sibling", "", """
import os
found = []
for start in {os.path.dirname(os.getcwd()), sibling["folder"], "/tmp", "/dev/shm"}:
    for folder, _, names in os.walk(start):
        for name in names:
            if name.startswith("kept-"):
                try:
                    with open(os.path.join(folder, name)) as file:
                        found.append(file.read(200))
                except OSError:
                    pass
print(*found)
print("held", "nothing of it can be read")
"""),
    ("reads the memory of its parent or a sibling", "", _CALL + _TRY + """
def read(path):
    with open(path, "rb", 0) as file:
        if path.endswith("mem"):
            return len(path)
        if not file.read(1):
            raise OSError(0, "nothing is in it")
def copy(pid):
    room = ctypes.create_string_buffer(8)
    ours = (ctypes.c_void_p * 2)(ctypes.addressof(room), 8)
    theirs = (ctypes.c_void_p * 2)(id(said), 8)
    _, error = call(310, 270, pid, ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0)
    if error not in (0, 14):
        raise OSError(error, os.strerror(error))
for pid in {os.getppid() or 1, 1, sibling["pid"]} - {os.getpid()}:
    for name in ("mem", "maps", "environ"):
        tried(f"/proc/PID/{name}", read, f"/proc/{pid}/{name}")
    tried("process_vm_readv", copy, pid)
told()
"""),
    ("attaches to a memory segment of yours", "", """
import ctypes, os
if planted["segment"] is None:
    print("untried", "this system has no such segments")
else:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    place = libc.shmat(planted["segment"], None, 0o10000)
    if place in (None, ctypes.c_void_p(-1).value):
        print("held", os.strerror(ctypes.get_errno()))
    else:
        print(ctypes.string_at(place, 64))
        print("held", "it is not yours")
"""),
]  # fmt: skip

SIBLING = """
import os
name = f"kept-{os.getpid()}"
with open(name, "w") as file:
    file.write(token)
{"pid": os.getpid(), "folder": os.getcwd()}
"""

CELLS = {
    "files": _FILES,
    "disk": _DISK,
    "network": _NETWORK,
    "processes": _PROCESSES,
    "signals": _SIGNALS,
    "memory": _MEMORY,
    "cpu": _CPU,
    "privileges": _PRIVILEGES,
    "system_calls": _SYSTEM_CALLS,
    "namespaces": _NAMESPACES,
    "descriptors": _DESCRIPTORS,
    "environment": _ENVIRONMENT,
    "siblings": _SIBLINGS,
}
"""By wall: what a cell tries, the fact that it needs as `bound`, and its code."""
