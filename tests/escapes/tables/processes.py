"""Processes and threads that a cell starts: forks, programs, daemons that live on."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_STAY = (
    "mark()\nif os.fork() == 0:\n    {0}\n    time.sleep(30)\n    os._exit(0)\ntime.sleep(0.05)\n"
)

_PROGRAMS = ("programs",)

CASES = (
    case("leaves_a_fork", _STAY.format("pass")),
    case("leaves_a_fork_in_a_session_of_its_own", _STAY.format("os.setsid()")),
    case("leaves_a_fork_in_a_group_of_its_own", _STAY.format("os.setpgid(0, 0)")),
    case("leaves_a_daemon", _STAY.format("os.setsid()\n    if os.fork(): os._exit(0)")),
    case(
        "leaves_a_daemon_three_forks_deep",
        _STAY.format(
            "os.setsid()\n    if os.fork(): os._exit(0)\n    "
            "os.setsid()\n    if os.fork(): os._exit(0)"
        ),
    ),
    case(
        "leaves_a_daemon_that_hears_nothing",
        _STAY.format(
            "[signal.signal(n, signal.SIG_IGN) for n in range(1, 65) if n not in (9, 19, 32, 33)]"
        ),
    ),
    case(
        "leaves_a_daemon_that_outlives_its_parent",
        _STAY.format(
            "libc.prctl(1, 0, 0, 0, 0)\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
            "    libc.prctl(1, 0, 0, 0, 0)"
        ),
    ),
    case(
        "leaves_a_keeper_of_orphans",
        _STAY.format(
            "libc.prctl(36, 1, 0, 0, 0)\n    os.setsid()\n    if os.fork() == 0: os.setsid()"
        ),
    ),
    case("leaves_a_stopped_process", _STAY.format("os.kill(os.getpid(), signal.SIGSTOP)")),
    case(
        "dies_before_its_fork",
        "mark()\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(30)\nos._exit(0)",
    ),
    case(
        "leaves_a_fork_by_vfork",
        """
        mark()
        libc.syscall(ctypes.c_long(_NUMBERS['clone'][_COLUMN]), ctypes.c_long(17), None, None, None,
                     None) == 0 and (time.sleep(30), os._exit(0))
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_fork_by_clone3",
        """
        mark()
        args = struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0)
        if syscall('clone3', args, len(args)) == 0:
            time.sleep(30)
            os._exit(0)
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_fork_without_a_death_signal",
        """
        mark()
        args = struct.pack('8Q', 0, 0, 0, 0, 0, 0, 0, 0)
        if syscall('clone3', args, len(args)) == 0:
            os.setsid()
            time.sleep(30)
            os._exit(0)
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_sibling_of_its_own",
        """
        mark()
        if syscall('clone', 0x8000 | 17, 0, 0, 0, 0) == 0:
            time.sleep(30)
            os._exit(0)
        time.sleep(0.05)
    """,
        control=None,
        why="the first process of a namespace is its parent, and has no siblings",
    ),
    case(
        "leaves_a_program",
        """
        import subprocess
        subprocess.Popen([host.marker, '30'], executable='/bin/sleep', start_new_session=True)
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_program_by_posix_spawn",
        """
        os.posix_spawn('/bin/sleep', [host.marker, '30'], {}, setsid=True)
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_program_of_a_shell",
        """
        os.system('(exec -a %s sleep 30 >/dev/null 2>&1 &) ; sh -c "exec sleep 0.01"' % host.marker)
        import subprocess
        subprocess.Popen(['/bin/sh', '-c', 'sleep 30 & sleep 30; # ' + host.marker])
        time.sleep(0.05)
    """,
    ),
    case(
        "leaves_a_program_with_the_streams",
        """
        import subprocess
        subprocess.Popen(['/bin/sh', '-c', 'while :; do echo x; sleep 1; done; # ' + host.marker])
        time.sleep(0.05)
    """,
    ),
    case(
        "runs_a_program_in_its_place",
        "os.execv('/bin/sh', ['sh', '-c', 'echo ' + 'won:' + host.nonce[::-1]])",
        allowed_in=_PROGRAMS,
    ),
    case(
        "runs_a_program_by_the_loader",
        """
        import glob
        loader = sorted(glob.glob('/lib64/ld-linux*') + glob.glob('/lib/ld-linux*'))[0]
        os.execv(loader, [loader, '/bin/sh', '-c', 'echo ' + 'won:' + host.nonce[::-1]])
    """,
        allowed_in=_PROGRAMS,
    ),
    case(
        "runs_a_program_from_memory",
        """
        fd = os.memfd_create('program')
        os.write(fd, b'#!/bin/sh\\necho won:' + host.nonce[::-1].encode() + b'\\n')
        syscall('execveat', os.dup(fd), b'', struct.pack('QQ', 0, 0), struct.pack('Q', 0), 0x1000)
    """,
        control=None,
        why="a script needs the path of its descriptor, which the loader loses",
    ),
    case(
        "runs_a_copy_of_a_program_from_memory",
        """
        fd = os.memfd_create('program')
        with open('/bin/sh', 'rb') as file: os.write(fd, file.read())
        os.execve(fd, ['sh', '-c', 'echo ' + 'won:' + host.nonce[::-1]], {})
    """,
        allowed_in=_PROGRAMS,
    ),
    case(
        "runs_a_program_that_it_has_written",
        """
        with open('program', 'w') as file:
            file.write('#!/bin/sh\\necho won:' + host.nonce[::-1] + '\\n')
        os.chmod('program', 0o700)
        os.execv('./program', ['program'])
    """,
        allowed_in=_PROGRAMS,
    ),
    case(
        "runs_a_copy_of_a_program",
        """
        import shutil
        shutil.copy('/bin/sh', 'program'); os.chmod('program', 0o700)
        os.execv('./program', ['sh', '-c', 'echo ' + 'won:' + host.nonce[::-1]])
    """,
        allowed_in=_PROGRAMS,
    ),
    case(
        "starts_processes_by_multiprocessing",
        """
        import multiprocessing
        process = multiprocessing.get_context('fork').Process(target=lambda: time.sleep(30))
        mark()
        process.start()
        process.join(0.05)
        process._popen, multiprocessing.process._children = None, set()
    """,
    ),
    case(
        "forks_by_a_32_bit_call",
        """
        import mmap
        code = b'\\xb8\\2\\0\\0\\0\\xcd\\x80\\xc3'  # mov eax, 2 (fork); int 0x80; ret
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(code)
        mark()
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        if call() == 0:
            time.sleep(30)
            os._exit(0)
        time.sleep(0.05)
    """,
    ),
)
