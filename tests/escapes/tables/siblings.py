"""Sibling sessions and the process that they come from: memory, folders, wires, what is left."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case("reads_a_file_of_a_sibling", "print(open(host.sibling_folder + '/mine.txt').read())"),
    case(
        "reads_a_file_beside_its_own",
        """
        for name in os.listdir('..'):
            try: print(open('../%s/mine.txt' % name).read())
            except OSError: pass
    """,
    ),
    case(
        "guesses_the_folder_of_a_sibling",
        """
        for number in list(range(1, 200)) + ['sibling']:
            try: print(open('../%s/mine.txt' % number).read())
            except OSError: pass
    """,
    ),
    case("writes_a_file_of_a_sibling", "open(host.sibling_folder + '/mine.txt', 'w').close()"),
    case("removes_the_folder_of_a_sibling", "import shutil; shutil.rmtree(host.sibling_folder)"),
    case(
        "renames_the_folder_of_a_sibling",
        "os.rename(host.sibling_folder, host.sibling_folder + 'x')",
    ),
    case(
        "locks_a_sibling_out",
        """
        os.chmod(host.sibling_folder, 0)
        os.stat(host.sibling_folder).st_mode & 0o777 == 0 and won()
    """,
    ),
    case(
        "reads_the_memory_of_a_sibling",
        """
        with open('/proc/%d/mem' % host.sibling_pid, 'rb', 0) as memory:
            memory.seek(host.sibling_address)
            print(memory.read(200))
    """,
    ),
    case(
        "reads_the_folder_of_a_sibling_by_proc",
        """
        print(open('/proc/%d/cwd/mine.txt' % host.sibling_pid).read())
    """,
    ),
    case(
        "reads_every_folder_by_proc",
        """
        for name in os.listdir('/proc'):
            try: print(name.isdigit() and open('/proc/%s/cwd/mine.txt' % name).read())
            except OSError: pass
    """,
    ),
    case("kills_a_sibling", "os.kill(host.sibling_pid, 9); time.sleep(0.05)"),
    case("stops_a_sibling", "os.kill(host.sibling_pid, signal.SIGSTOP); time.sleep(0.05)"),
    case(
        "kills_all_that_are_near",
        """
        for pid in range(os.getpid() - 40, os.getpid() + 40):
            if pid > 1 and pid not in (os.getpid(), os.getppid()):
                try: os.kill(pid, 9)
                except OSError: pass
    """,
    ),
    case("attaches_to_a_sibling", "syscall('ptrace', 16, host.sibling_pid, 0, 0); won()"),
    case(
        "takes_the_wire_of_a_sibling",
        """
        fd = syscall('pidfd_open', host.sibling_pid, 0)
        for number in range(100):
            try: syscall('pidfd_getfd', fd, number, 0); won(number)
            except OSError: pass
    """,
    ),
    case(
        "leaves_a_file_for_the_next",
        "open('/tmp/left', 'w').write('x')",
        then="open('/tmp/left').read() and won()",
    ),
    case(
        "leaves_a_segment_for_the_next",
        """
        syscall('shmget', 77, 4096, 0o1666)
    """,
        then="syscall('shmget', 77, 4096, 0o666); won()",
    ),
    case(
        "leaves_a_message_queue_for_the_next",
        "syscall('msgget', 77, 0o1666)",
        then="syscall('msgget', 77, 0o666); won()",
    ),
    case(
        "leaves_semaphores_for_the_next",
        "syscall('semget', 77, 1, 0o1666)",
        then="syscall('semget', 77, 1, 0o666); won()",
    ),
    case(
        "leaves_a_named_queue_for_the_next",
        "syscall('mq_open', b'left', 0o102, 0o666, None)",
        then="syscall('mq_open', b'left', 2, 0o666, None); won()",
    ),
    case(
        "leaves_an_abstract_name_for_the_next",
        """
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.bind('\\0left-' + host.nonce)
        mark()
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
    """,
        then="""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b'x', '\\0left-' + host.nonce); won()
    """,
    ),
    case(
        "leaves_a_key_for_the_next",
        "syscall('add_key', b'user', b'left', b'x', 1, -4)",
        then="syscall('request_key', b'user', b'left', None, 0); won()",
    ),
    case(
        "leaves_a_folder_in_its_place",
        """
        os.rename(os.getcwd(), os.getcwd() + '-moved'); won()
    """,
    ),
    case(
        "spoils_the_folder_of_all",
        """
        for name in range(1, 400):
            try: os.mkdir('../%d' % name); won()
            except OSError: pass
    """,
    ),
    case("reads_shared_memory_of_the_host", "print(open(host.shm_file).read())"),
    case("writes_shared_memory_of_the_host", "open(host.shm_file, 'w').write('changed')"),
    case("removes_shared_memory_of_the_host", "os.unlink(host.shm_file)"),
    case(
        "attaches_to_a_segment_of_the_host",
        """
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(libc.shmget(host.shm_key, 4096, 0o666), None, 0)
        assert at and at < 1 << 63
        print(ctypes.string_at(at, 100))
    """,
    ),
    case(
        "writes_a_segment_of_the_host",
        """
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(host.shm_id, None, 0)
        assert at and at < 1 << 63
        ctypes.memmove(at, b'changed', 7)
    """,
    ),
    case(
        "removes_a_segment_of_the_host",
        """
        assert libc.shmctl(host.shm_id, 0, None) == 0
        won()
    """,
    ),
    case(
        "lists_segments_of_the_host",
        """
        text = open('/proc/sysvipc/shm').read()
        assert str(host.shm_id) in text.split()
        won()
    """,
    ),
)
