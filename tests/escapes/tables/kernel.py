"""Doors of the kernel that cells have no use for: each is a larger surface than all of Python."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_ROOT = "only the machine's own root may, whom a namespace cannot give"

CASES = (
    case("sets_up_a_ring", "syscall('io_uring_setup', 4, ctypes.create_string_buffer(120)); won()"),
    case(
        "loads_a_program_into_the_kernel",
        """
        attributes = struct.pack('4I', 1, 4, 4, 1) + bytes(112)
        syscall('bpf', 0, attributes, 128); won()
    """,
        control=None,
        why="this kernel lets no ordinary user, nor root of a namespace",
    ),
    case("adds_a_key", "syscall('add_key', b'user', b'mine', b'x', 1, -3); won()"),
    case("asks_for_a_key", "syscall('keyctl', 0, -3, 1); won()"),
    case("searches_the_keys_of_its_user", "syscall('keyctl', 0, -4, 1); won()"),
    case(
        "counts_events_of_the_processor",
        """
        attributes = struct.pack('IIQ', 1, 112, 0) + bytes(24) + struct.pack('Q', 0x61) + bytes(64)
        syscall('perf_event_open', attributes, 0, -1, -1, 0); won()
    """,
    ),
    case("handles_its_own_page_faults", "syscall('userfaultfd', 1); won()"),
    case("loads_a_module", "syscall('init_module', b'x', 1, b''); won()", control=None, why=_ROOT),
    case(
        "loads_a_module_from_a_file",
        "syscall('finit_module', 0, b'', 0); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "loads_another_kernel",
        "syscall('kexec_load', 0, 0, None, 0); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "reads_the_log_of_the_kernel",
        """
        buffer = ctypes.create_string_buffer(4096)
        print(syscall('syslog', 3, buffer, 4096)); won()
    """,
        control=None,
        why=_ROOT,
    ),
    case(
        "asks_about_quotas",
        "syscall('quotactl', 0x80000700 | 0, b'/dev/vda', 0, None); won()",
        control=None,
        why="this kernel may be built without quotas",
    ),
    case("touches_ports_of_the_machine", "syscall('iopl', 3); won()", control=None, why=_ROOT),
    case(
        "writes_its_segments",
        """
        entry = struct.pack('III', 0, 0, 0xfffff) + struct.pack('I', 0x51)
        syscall('modify_ldt', 0x11, entry, 16); won()
    """,
    ),
    case(
        "makes_itself_another_machine",
        """
        before = syscall('personality', 0xffffffff)
        syscall('personality', 0x0040000)
        syscall('personality', 0xffffffff) & 0x0040000 and won()
    """,
    ),
    case(
        "reads_data_as_programs",
        """
        syscall('personality', 0x0400000)
        syscall('personality', 0xffffffff) & 0x0400000 and won()
    """,
    ),
    case(
        "makes_a_device",
        """
        import stat
        os.mknod('device', stat.S_IFCHR | 0o666, os.makedev(1, 3)); won()
    """,
        control=None,
        why=_ROOT,
    ),
    case(
        "makes_a_disk",
        """
        import stat
        os.mknod('disk', stat.S_IFBLK | 0o666, os.makedev(7, 0)); won()
    """,
        control=None,
        why=_ROOT,
    ),
    case(
        "opens_the_memory_of_the_machine",
        "os.open('/dev/mem', os.O_RDONLY); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "opens_the_virtual_machines",
        "os.open('/dev/kvm', os.O_RDWR); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "opens_the_file_systems_of_users",
        "os.open('/dev/fuse', os.O_RDWR); won()",
        control=None,
        why="on this machine only root opens it",
    ),
    case(
        "opens_any_device",
        """
        for folder, folders, files in os.walk('/dev'):
            for name in files:
                if name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'): continue
                path = os.path.join(folder, name)
                if path.startswith(('/dev/fd', '/dev/shm', '/dev/std')): continue
                try: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK)); won(path)
                except OSError: pass
    """,
    ),
    case("makes_a_terminal", "import pty; pty.openpty(); won()"),
    case(
        "binds_memory_to_a_node",
        """
        import mmap
        page = mmap.mmap(-1, 4096)
        at = ctypes.addressof(ctypes.c_char.from_buffer(page))
        mask = ctypes.c_ulong(1)
        syscall('mbind', at, 4096, 2, ctypes.byref(mask), 64, 2); won()
    """,
    ),
    case(
        "calls_by_the_32_bit_door",
        """
        import mmap
        code = b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3'  # mov eax, 20 (getpid); int 0x80; ret
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(code)
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        call() > 0 and won()
    """,
    ),
    case(
        "calls_by_the_x32_door",
        "syscall(0x40000000 + 39) > 0 and won()",
        control=None,
        why="this kernel may be built without it",
    ),
    case(
        "calls_a_number_that_does_not_exist",
        "syscall(100_000); won()",
        control=None,
        why="no kernel has it: what is refused must not end the session",
    ),
    case(
        "splices_memory_into_a_pipe_of_root",
        """
        one, other = os.pipe()
        fd = os.open(host.secret_file, os.O_RDONLY)
        os.splice(fd, other, 100, 0)
        print(os.read(one, 100))
    """,
    ),
)
