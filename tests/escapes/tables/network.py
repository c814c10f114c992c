"""The network and local sockets: listeners of the host, names, packets, and sockets at all."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_TO = "socket.socket(socket.AF_{0}, socket.SOCK_{1}).connect({2})"

CASES = (
    case("connects_to_a_listener", "socket.create_connection(('127.0.0.1', host.tcp), 1)"),
    case("connects_by_ipv6", _TO.format("INET6", "STREAM", "('::1', host.tcp6)")),
    case(
        "connects_by_a_mapped_address",
        _TO.format("INET6", "STREAM", "('::ffff:127.0.0.1', host.tcp)"),
    ),
    case("connects_by_any_address", _TO.format("INET", "STREAM", "('0.0.0.0', host.tcp)")),
    case(
        "connects_without_waiting",
        """
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(('127.0.0.1', host.tcp))
        time.sleep(0.05)
    """,
    ),
    case(
        "connects_with_its_first_bytes",
        """
        sock = socket.socket()
        sock.setsockopt(6, 30, 1)
        sock.sendto(b'x', 0x20000000, ('127.0.0.1', host.tcp))
    """,
    ),
    case(
        "sends_a_datagram",
        """
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', host.udp))
    """,
    ),
    case(
        "sends_a_datagram_by_ipv6",
        """
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('::1', host.udp6))
    """,
    ),
    case("connects_to_a_unix_socket", _TO.format("UNIX", "STREAM", "host.unix")),
    case(
        "sends_to_a_unix_socket",
        """
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', host.unix_datagram)
    """,
    ),
    case("connects_to_an_abstract_socket", _TO.format("UNIX", "STREAM", "host.abstract")),
    case(
        "sends_to_an_abstract_socket",
        """
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', host.abstract_datagram)
    """,
    ),
    case(
        "sends_from_one_of_a_pair",
        """
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b'x', host.unix_datagram)
    """,
    ),
    case(
        "sends_from_one_of_a_pair_to_an_abstract_name",
        """
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b'x', host.abstract_datagram)
    """,
    ),
    case(
        "connects_one_of_a_pair_elsewhere",
        """
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.connect(host.unix_datagram)
        one.send(b'x')
    """,
    ),
    case(
        "makes_a_pair_by_other_flags",
        """
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        one.sendto(b'x', host.unix_datagram)
    """,
    ),
    case(
        "uses_the_wire_as_a_socket",
        """
        sock = socket.socket(fileno=os.dup(wire()[0]))
        sock.connect(host.unix)
    """,
        control=None,
        why="a connected stream socket cannot be connected again",
    ),
    case(
        "asks_for_a_name",
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.sendto(b'\\0' * 12, ('127.0.0.1', host.udp))
        socket.getaddrinfo('localhost', host.tcp) and won()
    """,
    ),
    case(
        "makes_a_raw_socket",
        """
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); won()
    """,
        control="root",
    ),
    case(
        "makes_a_packet_socket",
        """
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3); won()
    """,
        control="root",
    ),
    case("makes_a_netlink_socket", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); won()"),
    case("makes_a_vsock", "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); won()"),
    case(
        "makes_an_alg_socket",
        "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET); won()",
        control=None,
        why="this kernel may be built without the family",
    ),
    case(
        "listens_on_a_port",
        """
        sock = socket.socket(); sock.bind(('127.0.0.1', 0)); sock.listen(); won()
    """,
    ),
    case(
        "listens_on_an_abstract_name",
        """
        sock = socket.socket(socket.AF_UNIX); sock.bind('\\0' + host.marker); sock.listen(); won()
    """,
    ),
    case("makes_a_socket_by_number", "syscall('socket', 2, 1, 0); won()"),
    case(
        "makes_a_socket_by_32_bit_call",
        """
        import mmap
        # mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; ret
        code = b'\\x53\\xb8\\x67\\x01\\0\\0\\xbb\\2\\0\\0\\0\\xb9\\1\\0\\0\\0'
        code += b'\\x31\\xd2\\xcd\\x80\\x5b\\xc3'
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(code)
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        result = call()
        assert result >= 0, result
        won()
    """,
    ),
    case(
        "makes_a_socket_by_x32_call",
        "syscall(0x40000000 + 41, 2, 1, 0); won()",
        control=None,
        why="this kernel may be built without the x32 calls",
    ),
    case(
        "makes_a_socket_with_machine_code",
        """
        import mmap
        # mov eax, 41; mov edi, 2; mov esi, 1; xor edx, edx; syscall; ret
        code = b'\\xb8\\x29\\0\\0\\0\\xbf\\2\\0\\0\\0\\xbe\\1\\0\\0\\0\\x31\\xd2\\x0f\\x05\\xc3'
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(code)
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        result = call()
        assert result >= 0, result
        won()
    """,
    ),
    case(
        "makes_a_socket_by_a_ring",
        """
        params = ctypes.create_string_buffer(120)
        ring = syscall('io_uring_setup', 4, params); won()
    """,
    ),
    case(
        "goes_through_a_library",
        """
        import urllib.request
        urllib.request.urlopen('http://127.0.0.1:%d/' % host.tcp, timeout=0.1)
    """,
    ),
    case(
        "goes_through_asyncio",
        """
        import asyncio
        async def go(): await asyncio.open_connection('127.0.0.1', host.tcp)
        asyncio.run(go())
    """,
    ),
    case(
        "asks_the_engine_of_the_machine",
        """
        sock = socket.socket(socket.AF_UNIX)
        for path in ('/var/run/docker.sock', '/run/podman/podman.sock', host.unix):
            try: sock.connect(path); won(path)
            except OSError: pass
    """,
    ),
)
