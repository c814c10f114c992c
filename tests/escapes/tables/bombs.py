"""Memory, processor, disk, descriptors, threads and processes beyond what a place allows."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_MB = "mb = 1 << 20\nmost = int(host.memory_mb * 2.5)\n"
_DISK = "mb = 1 << 20\nmost = int(host.scratch_mb * 2)\n"

CASES = (
    case(
        "takes_memory_in_a_list",
        _MB
        + """
kept = []
while len(kept) < most: kept.append(b'x' * mb)
won()
""",
        memory_mb=64,
    ),
    case("takes_memory_in_one_text", _MB + "x = 'x' * (most * mb); won(len(x))", memory_mb=64),
    case(
        "takes_memory_by_doubling",
        _MB
        + """
x = bytearray(b'x')
while len(x) < most * mb: x = x + x
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_private_maps",
        _MB
        + """
import mmap
kept = []
while len(kept) < most:
    kept.append(mmap.mmap(-1, mb, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    kept[-1].write(b'x' * mb)
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_shared_maps",
        _MB
        + """
import mmap
kept = []
while len(kept) < most:
    kept.append(mmap.mmap(-1, mb, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
    kept[-1].write(b'x' * mb)
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_one_shared_map",
        _MB
        + """
import mmap
kept = mmap.mmap(-1, most * mb)
for _ in range(most): kept.write(b'x' * mb)
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_a_file_of_memory",
        _MB
        + """
fd = os.memfd_create('bomb')
for _ in range(most): assert os.write(fd, b'x' * mb) == mb
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_many_files_of_memory",
        _MB
        + """
for _ in range(most // 8): assert os.write(os.memfd_create('bomb'), b'x' * mb * 8) == mb * 8
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_secret_memory",
        _MB
        + """
fd = syscall('memfd_secret', 0)
os.ftruncate(fd, most * mb)
import mmap
kept = mmap.mmap(fd, most * mb)
for _ in range(most): kept.write(b'x' * mb)
won()
""",
        memory_mb=64,
        control=None,
        why="the kernel locks such pages, and bounds them for everybody",
    ),
    case(
        "takes_memory_by_shared_memory",
        _MB
        + """
for number in range(most // 8):
    with open('/dev/shm/bomb%d' % number, 'wb') as file:
        for _ in range(8): file.write(b'x' * mb)
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_segments",
        _MB
        + """
libc.shmat.restype = ctypes.c_void_p
for number in range(most // 8):
    at = libc.shmat(syscall('shmget', 0, mb * 8, 0o1666), None, 0)
    assert at and at < 1 << 63
    ctypes.memset(at, 1, mb * 8)
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_detached_segments",
        _MB
        + """
libc.shmat.restype = ctypes.c_void_p
for number in range(most // 8):
    at = libc.shmat(syscall('shmget', 0, mb * 8, 0o1666), None, 0)
    assert at and at < 1 << 63
    ctypes.memset(at, 1, mb * 8)
    libc.shmdt(ctypes.c_void_p(at))
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_by_pipes",
        _MB
        + """
import fcntl
kept = []
for number in range(400):
    one, other = os.pipe()
    kept.append((one, other))
    os.set_blocking(other, False)
    fcntl.fcntl(other, 1031, 1 << 20)
    os.write(other, b'x' * mb)
won()
""",
        memory_mb=64,
        control=None,
        why="the kernel bounds the pages of pipes of an ordinary user",
    ),
    case(
        "takes_memory_by_sockets",
        _MB
        + """
kept, sent = [], 0
while sent < most * mb:
    one, other = socket.socketpair()
    one.setblocking(False)
    kept.append((one, other))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    try:
        while True: sent += one.send(b'x' * 65536)
    except BlockingIOError: pass
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_in_a_file_of_its_folder",
        _MB
        + """
with open('bomb', 'wb') as file:
    for _ in range(most): file.write(b'x' * mb)
won()
""",
        memory_mb=64,
        scratch_mb=32,
    ),
    case(
        "takes_memory_by_page_tables",
        _MB
        + """
import mmap
kept = []
for number in range(20_000):  # one page each 2 MB: the tables are as large
    kept.append(mmap.mmap(-1, 2 * mb, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    kept[-1][0] = 1
won()
""",
        memory_mb=64,
        control=None,
        why="the control bounds its addresses, lest it harm this machine",
    ),
    case(
        "takes_memory_in_threads",
        _MB
        + """
import threading
kept = []
def take():
    for _ in range(most // 4): kept.append(b'x' * mb)
threads = [threading.Thread(target=take) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
assert len(kept) >= most // 4 * 4
won()
""",
        memory_mb=64,
    ),
    case(
        "takes_memory_in_forks",
        _MB
        + """
pids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        try:
            kept = b'x' * (most // 2 * mb)
            time.sleep(0.3)
            os._exit(0)
        finally: os._exit(1)
    pids.append(pid)
if sum(os.waitpid(pid, 0)[1] == 0 for pid in pids) == 4: won()
""",
        memory_mb=64,
    ),
    case(
        "takes_disk_by_one_file",
        _DISK
        + """
with open('bomb', 'wb') as file:
    for _ in range(most): file.write(b'x' * mb)
won()
""",
        scratch_mb=16,
    ),
    case(
        "takes_disk_by_many_files",
        _DISK
        + """
for number in range(most):
    with open('bomb%d' % number, 'wb') as file: file.write(b'x' * mb)
won()
""",
        scratch_mb=16,
    ),
    case(
        "takes_disk_by_removed_files",
        _DISK
        + """
kept = []
for number in range(most // 4):
    kept.append(open('bomb%d' % number, 'wb'))
    for _ in range(4): kept[-1].write(b'x' * mb)
    kept[-1].flush()
    os.unlink('bomb%d' % number)
won()
""",
        scratch_mb=16,
    ),
    case(
        "takes_disk_by_allocating",
        _DISK
        + """
fd = os.open('bomb', os.O_CREAT | os.O_RDWR)
os.posix_fallocate(fd, 0, most * mb); won()
""",
        scratch_mb=16,
    ),
    case(
        "takes_disk_by_what_it_prints",
        _DISK
        + """
piece = b'x' * mb
for _ in range(120): os.write(1, piece)
"""
        + "fd = os.dup(1)\nif os.fstat(fd).st_size > 100 * mb: won()\n",
        scratch_mb=16,
    ),
    case(
        "takes_disk_in_the_temporary_folder",
        _DISK
        + """
for number in range(most):
    with open('/tmp/bomb%d' % number, 'wb') as file: file.write(b'x' * mb)
won()
""",
        scratch_mb=16,
    ),
    case(
        "takes_all_descriptors",
        """
kept = [os.dup(0 if os.path.exists('/dev/null') else 1) for _ in range(5000)]; won()
""",
    ),
    case(
        "raises_its_limit_of_descriptors",
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8000, 8000))
kept = [os.pipe() for _ in range(3000)]; won()
""",
    ),
    case(
        "starts_a_thousand_threads",
        """
import threading
stop = threading.Event()
started = threading.stack_size(1 << 18) * 0
try:
    for _ in range(300):
        threading.Thread(target=stop.wait, daemon=True).start()
        started += 1
finally:
    stop.set()
won(started)
""",
        threads=32,
    ),
    case(
        "starts_many_processes",
        """
made = []
while len(made) < 60:
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        os._exit(0)
    made.append(pid)
won()
""",
        processes=4,
    ),
    case(
        "starts_processes_that_start_processes",
        """
mark()
import threading
for depth in range(6):
    os.fork()  # sixty-four of them
if os.getpid(): time.sleep(0.3)
with open('count', 'a') as file: file.write('x')
time.sleep(0.3)
if os.path.getsize('count') > 40: won()
""",
        processes=4,
    ),
    case(
        "hears_no_interrupt",
        """
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
""",
        seconds=0.5,
    ),
    case(
        "blocks_the_interrupt",
        """
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: pass
""",
        seconds=0.5,
    ),
    case(
        "eats_the_interrupt",
        """
while True:
    try:
        while True: time.sleep(0.01)
    except BaseException: pass
""",
        seconds=0.5,
    ),
    case("loops_in_c", "sum(range(10**12))", seconds=0.5),
    case(
        "loops_in_an_expression",
        """
import re
while True:
    try:
        while True: re.match('(a+)+$', 'a' * 60 + 'b')
    except BaseException: pass
""",
        seconds=0.5,
    ),
    case(
        "replaces_the_handler",
        """
signal.signal(signal.SIGINT, lambda *_: None)
while True: time.sleep(1)
""",
        seconds=0.5,
    ),
    case(
        "sleeps_for_ever_in_c",
        """
libc.signal(2, ctypes.c_void_p(1))
while True: libc.pause() if False else time.sleep(100)
""",
        seconds=0.5,
    ),
    case(
        "never_ends_in_a_finally",
        """
try:
    while True: time.sleep(0.01)
finally:
    while True:
        try: time.sleep(9)
        except BaseException: pass
""",
        seconds=0.5,
    ),
    case(
        "never_ends_in_a_destructor",
        """
class Stay:
    def __del__(self):
        while True:
            try: time.sleep(9)
            except BaseException: pass
Stay()
""",
        seconds=0.5,
    ),
    case("stops_itself", "os.kill(os.getpid(), signal.SIGSTOP)", seconds=0.5),
    case(
        "waits_for_itself",
        """
import threading
lock = threading.Lock()
lock.acquire()
signal.signal(signal.SIGINT, signal.SIG_IGN)
lock.acquire()
""",
        seconds=0.5,
    ),
)
