"""Looking into other processes: ptrace, process_vm_readv, pidfd_getfd, kcmp."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case("attaches_to_a_process", "syscall('ptrace', 16, host.pid, 0, 0); time.sleep(0.02)"),
    case("seizes_a_process", "syscall('ptrace', 0x4206, host.pid, 0, 0); won()"),
    case("traces_itself", "syscall('ptrace', 0, 0, 0, 0); won()"),
    case(
        "reads_memory_by_call",
        """
        buffer = ctypes.create_string_buffer(40)
        mine = struct.pack('QQ', ctypes.addressof(buffer), 40)
        syscall('process_vm_readv', host.pid, mine, 1, struct.pack('QQ', host.address, 40), 1, 0)
        print(buffer.raw)
    """,
    ),
    case(
        "writes_memory_by_call",
        """
        buffer = ctypes.create_string_buffer(b'changed')
        mine = struct.pack('QQ', ctypes.addressof(buffer), 7)
        syscall('process_vm_writev', host.pid, mine, 1, struct.pack('QQ', host.address, 7), 1, 0)
    """,
    ),
    case(
        "takes_a_descriptor_of_a_process",
        """
        fd = syscall('pidfd_open', host.pid, 0)
        for number in range(100):
            try: print(os.pread(syscall('pidfd_getfd', fd, number, 0), 100, 0))
            except OSError: pass
    """,
    ),
    case("compares_processes", "syscall('kcmp', os.getpid(), host.pid, 0, 1, 1); won()"),
    case(
        "advises_on_the_memory_of_a_process",
        """
        fd = syscall('pidfd_open', host.pid, 0)
        page = host.address & ~4095
        syscall('process_madvise', fd, struct.pack('QQ', page, 4096), 1, 20, 0); won()
    """,
        control=None,
        why="it takes a right that only the machine's own root has",
    ),
    case("watches_a_process_die", "syscall('pidfd_open', host.pid, 0); won()"),
    case(
        "asks_where_pages_of_a_process_are",
        """
        page, status = ctypes.c_void_p(host.address & ~4095), ctypes.c_int()
        syscall('move_pages', host.pid, 1, ctypes.byref(page), None, ctypes.byref(status), 0); won()
    """,
    ),
    case(
        "reads_a_sibling_by_call",
        """
        buffer = ctypes.create_string_buffer(4096)
        mine = struct.pack('QQ', ctypes.addressof(buffer), 200)
        there = struct.pack('QQ', host.sibling_address, 200)
        syscall('process_vm_readv', host.sibling_pid, mine, 1, there, 1, 0)
        print(buffer.raw)
    """,
    ),
    case(
        "lets_a_sibling_trace_it",
        "libc.prctl(0x59616d61, -1, 0, 0, 0) == 0 and won()",
        control=None,
        why="this kernel has no Yama, so that it need not be allowed",
    ),
    case(
        "becomes_dumpable_again",
        "libc.prctl(4, 1, 0, 0, 0); libc.prctl(3) == 1 and won()",
        control=None,
        why="a process may always open itself; who may look is for the others",
    ),
)
