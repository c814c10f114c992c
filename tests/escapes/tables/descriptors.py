"""Descriptors that a session might have inherited, and those that it might be sent."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case("reads_an_inherited_descriptor", "print(os.pread(host.fd, 100, 0))"),
    case(
        "reads_every_descriptor",
        """
        for number in range(2048):
            try: print(number, os.pread(number, 100, 0))
            except OSError: pass
    """,
    ),
    case(
        "reads_every_descriptor_by_path",
        """
        for name in os.listdir('/proc/self/fd'):
            try: print(os.read(os.open('/proc/self/fd/' + name, os.O_NONBLOCK), 100))
            except OSError: pass
    """,
        seconds=2,
    ),
    case(
        "finds_folders_of_the_host_open",
        """
        for number in range(2048):
            for path in (host.secret_file, '..' + host.secret_file, '../..' + host.secret_file):
                try: print(os.read(os.open(path.lstrip('/'), 0, dir_fd=number), 100))
                except OSError: pass
        folder = os.open('/', os.O_PATH)
        print(os.read(os.open(host.secret_file[1:], 0, dir_fd=folder), 100))
    """,
    ),
    case(
        "writes_every_regular_file_it_has_open",
        """
        import stat
        for number in range(3, 2048):
            try: mode = os.fstat(number).st_mode
            except OSError: continue
            link = os.readlink('/proc/self/fd/%d' % number)
            if stat.S_ISREG(mode) and 'memfd:output' not in link:
                try: os.pwrite(number, b'changed', 0); won(number)
                except OSError: pass
    """,
    ),
    case(
        "truncates_every_regular_file_it_has_open",
        """
        import stat
        for number in range(3, 2048):
            try: mode = os.fstat(number).st_mode
            except OSError: continue
            link = os.readlink('/proc/self/fd/%d' % number)
            if stat.S_ISREG(mode) and 'memfd:output' not in link:
                try: os.ftruncate(number, 0); won(number)
                except OSError: pass
    """,
    ),
    case(
        "opens_its_descriptors_again_for_writing",
        """
        import stat
        for name in os.listdir('/proc/self/fd'):
            try:
                if ':output' in os.readlink('/proc/self/fd/' + name): continue  # what it prints
                if int(name) > 2 and stat.S_ISREG(os.fstat(int(name)).st_mode):
                    os.open('/proc/self/fd/' + name, os.O_RDWR); won(name)
            except OSError: pass
    """,
    ),
    case(
        "finds_more_than_one_socket",
        """
        one, other = socket.socketpair()
        found = set(wire()) - {one.fileno(), other.fileno()}
        os.fstat(host.fd); won(found)
    """,
    ),
    case(
        "passes_a_descriptor_to_the_host",
        """
        sent = 0
        for number in wire():
            try:
                sock = socket.socket(fileno=os.dup(number))
                socket.send_fds(sock, [frame({'t': 'output', 'stream': 'stdout', 'text': ''})],
                                [1] * 100)
                sent += 1
            except OSError: pass
        os.pread(host.fd, 1, 0); won(sent)
    """,
    ),
    case(
        "takes_descriptors_from_the_wire",
        """
        for number in wire():
            sock = socket.socket(fileno=os.dup(number))
            sock.setblocking(False)
            try: print([os.pread(fd, 100, 0) for fd in socket.recv_fds(sock, 1, 10)[1]])
            except OSError: pass
        print(os.pread(host.fd, 100, 0))
    """,
    ),
    case(
        "looks_for_a_terminal",
        """
        import fcntl
        fd = os.open('/dev/tty', os.O_RDWR)
        fcntl.ioctl(fd, 0x5412, b'x'); won()
    """,
        control=None,
        why="the bare cell has no terminal either",
    ),
    case(
        "types_into_a_terminal_it_makes",
        """
        import fcntl
        master = os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY); won()
    """,
    ),
    case(
        "keeps_the_wire_busy_without_reading",
        """
        call = {'t': 'call', 'id': 0, 'name': 'hidden', 'args': [], 'kwargs': {}}
        say(*[frame({**call, 'id': 10**6 + number}) for number in range(3000)])
    """,
    ),
)
