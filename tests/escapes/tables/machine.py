"""What the whole machine has but once, and files that sessions share."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case(
        "takes_all_requests_of_the_machine",
        """
n = 0
for size in (60000, 30000, 3000, 100):
    while True:
        c = ctypes.c_ulong(0)
        if libc.syscall(206, size, ctypes.byref(c)): break
        n += size
if n > 1000: won(n)
""",
    ),
    case(
        "makes_a_ring_of_requests",
        """
r = libc.syscall(ctypes.c_long(206), ctypes.c_long(1), ctypes.c_long(0))
e = ctypes.get_errno() if r == -1 else 0
if e not in (1, 38): won(e)
""",
    ),
    case(
        "submits_a_request",
        """
r = libc.syscall(ctypes.c_long(209), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0))
e = ctypes.get_errno() if r == -1 else 0
if e not in (1, 38): won(e)
""",
    ),
    case(
        "locks_by_ofd_ranges",
        """
import fcntl
f = open('f', 'w'); g = open('f', 'r+')
fcntl.fcntl(f, 37, struct.pack('hhqqi', 1, 0, 0, 1, 0))
r = struct.unpack('hhqqi', fcntl.fcntl(g, 36, struct.pack('hhqqi', 1, 0, 0, 1, 0)))
if r[0] != 2: won(r)
""",
    ),
    case(
        "leases_its_own_file",
        """
import fcntl
open('f','w').close()
fd = os.open('f', os.O_RDONLY)
fcntl.fcntl(fd, 1024, 0)
won()
""",
    ),
    case(
        "watches_a_folder_by_dnotify",
        """
import fcntl
fd = os.open(host.stdlib, os.O_RDONLY)
fcntl.fcntl(fd, 1026, 2)
won()
""",
    ),
    case(
        "sets_the_flags_of_its_own_file",
        """
import fcntl
open('f','w').close()
fd = os.open('f', os.O_RDONLY)
fcntl.ioctl(fd, 0x40086602, struct.pack('l', 0x40))
b = bytearray(8); fcntl.ioctl(fd, 0x80086601, b)
if struct.unpack('l', b)[0] & 0x40: won()
""",
    ),
    case(
        "reads_the_uuid_of_the_disk",
        """
import fcntl
fd = os.open(host.stdlib, os.O_RDONLY)
b = bytearray(24); fcntl.ioctl(fd, 0x80111500, b)
won(bytes(b).hex())
""",
    ),
    case(
        "syncs_the_disks_of_the_machine",
        """
import mmap
t = time.perf_counter()
fd = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
if libc.syscall(306, fd) == 0 and libc.syscall(306, -1) == -1: won()
""",
    ),
    case(
        "sets_direct_reading_for_all",
        """
import fcntl
found = []
for fd in range(3, 64):
    try: found.append((fd, os.readlink('/proc/self/fd/%d' % fd)))
    except OSError: pass
for fd, path in found:
    if path.startswith('/') and not path.startswith(('/dev', '/memfd', '/proc')):
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_DIRECT)
        won(path)
open('f','w').close(); g = os.open('f', os.O_RDONLY)
fcntl.fcntl(g, fcntl.F_SETFL, os.O_DIRECT); won('own')
""",
    ),
    case(
        "asks_for_signals_of_a_descriptor",
        """
import fcntl
a, b = socket.socketpair()
fcntl.fcntl(a, 8, -1)
won()
""",
    ),
    case(
        "fills_the_flight_with_sockets",
        """
sent, keep = 0, []
try:
    while sent < 160 << 20:
        a, b = socket.socketpair(); keep.append((a, b)); batch = []
        for _ in range(40):
            one, two = socket.socketpair(); one.setblocking(False); two.setblocking(False)
            for x in (one, two):
                try:
                    while True: sent += x.send(b'x' * 65536)
                except BlockingIOError: pass
            batch += [one, two]
        socket.send_fds(a, [b'x'], [x.fileno() for x in batch])
        for x in batch: x.close()
except OSError: pass
if sent >= 160 << 20: won()
""",
        memory_mb=64,
    ),
    case(
        "writes_its_own_memory_by_proc",
        """
fd = os.open('/proc/self/mem', os.O_RDWR)
won()
""",
    ),
    case(
        "makes_shared_memory_by_dev_zero",
        """
fd = os.open('/dev/zero', os.O_RDWR)
import mmap
m = mmap.mmap(fd, 300 << 20, mmap.MAP_SHARED)
for i in range(0, len(m), 4096): m[i] = 1
won()
""",
        memory_mb=64,
    ),
    case(
        "makes_its_spool_as_large_as_can_be",
        """
import fcntl
found = []
for fd in range(3, 64):
    try: found.append((fd, os.readlink('/proc/self/fd/%d' % fd)))
    except OSError: pass
for fd in [1, 2] + [fd for fd, path in found if 'memfd' in path]:
    try: os.ftruncate(fd, host.scratch_mb << 20)
    except OSError as e: print(e)
    try: os.ftruncate(fd, 1 << 62); won()
    except OSError: pass
""",
    ),
    case(
        "takes_memory_by_its_spool",
        """
most = 0
for fd in (1, 2):
    for i in range(int(host.scratch_mb) * 3):
        try: os.write(fd, b'x' * (1 << 20))
        except OSError: break
        most = max(most, sum(os.fstat(each).st_blocks << 9 for each in (1, 2)))
if most > (host.scratch_mb << 20) * 2.5: won(most)
""",
        scratch_mb=16,
    ),
    case(
        "reads_how_the_machine_does",
        """
t = ''
for n in ('loadavg', 'meminfo', 'version', 'cmdline', 'diskstats', 'interrupts', 'locks'):
    try: t += open('/proc/' + n).read(100)
    except OSError: pass
if t: won(t[:50])
""",
    ),
    case(
        "reads_the_identity_of_the_machine",
        """
for n in ('etc/machine-id', 'proc/sys/kernel/random/boot_id', 'etc/hostname', 'etc/hosts'):
    try: won(open('/' + n).read())
    except OSError: pass
""",
    ),
)
