"""What takes of the kernel, or of the machine, more than any limit of a process counts."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_PAIR = "pair = (ctypes.c_int * 2)()\n"

CASES = (
    case(
        "sends_from_a_raw_pair",
        "one, other = socket.socketpair(1, 3)\none.sendto(b'out', host.unix_datagram); won()",
    ),
    case("names_a_raw_pair", "one, other = socket.socketpair(1, 3)\none.bind('\\0pair'); won()"),
    case(
        "has_the_kernel_make_a_pair_of_netlink",
        _PAIR + "libc.socketpair(16, 3, 0, pair)\nif ctypes.get_errno() == 95: won()",
    ),
    case(
        "has_the_kernel_make_a_pair_of_the_internet",
        _PAIR + "libc.socketpair(2, 1, 0, pair)\nif ctypes.get_errno() == 95: won()",
    ),
    case(
        "attaches_a_program_to_a_socket",
        """
        one, other = socket.socketpair()
        code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 65535))
        one.setsockopt(1, 26, struct.pack('HxxxxxxQ', 1, ctypes.addressof(code))); won()
    """,
    ),
    case(
        "maps_what_grows_down",
        """
        libc.mmap.restype = ctypes.c_void_p
        at = libc.mmap(None, ctypes.c_size_t(16 << 20), 3, 0x122, -1, ctypes.c_long(0))
        if at != ctypes.c_void_p(-1).value: won()
    """,
    ),
    case(
        "raises_the_bound_of_its_stack",
        """
        import resource
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, 1 << 30)); won()
    """,
    ),
    case(
        "makes_what_it_mapped_writable_later",
        """
        libc.mmap.restype = ctypes.c_void_p
        size, mapped = 16 << 20, []
        while len(mapped) < 60:
            at = libc.mmap(None, ctypes.c_size_t(size), 1, 0x22, -1, ctypes.c_long(0))
            if at == ctypes.c_void_p(-1).value: break
            mapped.append(at)
        for at in mapped:
            if not libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(size), 3):
                ctypes.memset(ctypes.c_void_p(at), 1, size)
        held = [line for line in open('/proc/self/status') if line.startswith('VmRSS')][0]
        if int(held.split()[1]) > 300 << 10: won(held)
    """,
        memory_mb=64,
    ),
    case(
        "takes_a_hash_of_futexes",
        "if libc.prctl(78, 1, ctypes.c_ulong(1 << 12), 0, 0) == 0: won()",
        control=None,
        why="Linux has it from 6.16 on",
    ),
    case(
        "makes_rules_of_fences",
        "syscall('landlock_create_ruleset', struct.pack('Q', 1), 8, 0); won()",
    ),
    case(
        "opens_a_tree_by_the_newest_call",
        "if libc.syscall(467, -100, b'/', 0, None, 0) >= 0: won()",
        control=None,
        why="Linux has it from 6.15 on",
    ),
    case(
        "asks_for_the_time_of_another_process",
        """
        for pid in (host.pid, host.sibling_pid):
            if libc.clock_gettime((~pid << 3) | 2, (ctypes.c_long * 2)()) == 0: won(pid)
    """,
    ),
    case(
        "leaves_a_chain_of_folders",
        """
        end = time.time() + 4
        while time.time() < end: os.mkdir('d'); os.chdir('d')
    """,
        control=None,
        why="what it costs is the removal, which nobody does there",
        scratch_mb=256,
    ),
)
