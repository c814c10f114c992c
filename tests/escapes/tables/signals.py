"""Signals to processes of the host, to siblings, to everybody; by every call that sends one."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case("kills_a_process_of_the_host", "os.kill(host.pid, 9)"),
    case("interrupts_a_process_of_the_host", "os.kill(host.pid, 2)"),
    case("stops_a_process_of_the_host", "os.kill(host.pid, signal.SIGSTOP); time.sleep(0.05)"),
    case("asks_whether_a_process_lives", "os.kill(host.pid, 0); won()"),
    case("kills_everybody", "os.kill(-1, 9)"),
    case("signals_everybody", "os.kill(-1, signal.SIGUSR1)"),
    case("signals_its_group", "os.kill(0, signal.SIGUSR1); time.sleep(0.05)"),
    case("kills_the_group_of_a_process", "os.killpg(os.getpgid(host.pid), signal.SIGUSR1)"),
    case("kills_by_tkill", "syscall('tkill', host.pid, 9)"),
    case("kills_by_tgkill", "syscall('tgkill', host.pid, host.pid, 9)"),
    case(
        "kills_by_tgkill_with_its_own_group",
        "syscall('tgkill', os.getpid(), host.pid, 9)",
        control=None,
        why="the kernel wants the group that a thread is in",
    ),
    case(
        "signals_with_a_message",
        """
        info = struct.pack('iii', 10, 0, -1) + bytes(116)
        syscall('rt_sigqueueinfo', host.pid, 10, info)
    """,
    ),
    case(
        "signals_a_thread_with_a_message",
        """
        info = struct.pack('iii', 10, 0, -1) + bytes(116)
        syscall('rt_tgsigqueueinfo', host.pid, host.pid, 10, info)
    """,
    ),
    case(
        "signals_through_a_descriptor",
        """
        fd = syscall('pidfd_open', host.pid, 0)
        syscall('pidfd_send_signal', fd, 9, None, 0)
    """,
    ),
    case(
        "signals_through_a_folder_of_proc",
        """
        fd = os.open('/proc/%d' % host.pid, os.O_RDONLY | os.O_DIRECTORY)
        syscall('pidfd_send_signal', fd, 9, None, 0)
    """,
    ),
    case(
        "has_the_kernel_signal_by_f_setown",
        """
        import fcntl
        one, other = socket.socketpair()
        fcntl.fcntl(one, fcntl.F_SETOWN, host.pid)
        fcntl.fcntl(one, 10, signal.SIGUSR1)
        fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        other.send(b'x')
        time.sleep(0.05)
    """,
    ),
    case(
        "has_the_kernel_signal_by_f_setown_ex",
        """
        import fcntl
        one, other = os.pipe()
        fcntl.fcntl(one, 15, struct.pack('ii', 1, host.pid))
        fcntl.fcntl(one, 10, signal.SIGUSR1)
        fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        os.write(other, b'x')
        time.sleep(0.05)
    """,
    ),
    case(
        "has_the_kernel_signal_by_a_lease",
        """
        import fcntl
        open('leased', 'w').close()
        fd = os.open('leased', os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETOWN, host.pid)
        fcntl.fcntl(fd, 10, signal.SIGUSR1)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        try: os.open('leased', os.O_WRONLY | os.O_NONBLOCK)
        except OSError: pass
        time.sleep(0.05)
    """,
    ),
    case(
        "has_the_kernel_signal_by_a_watched_folder",
        """
        import fcntl
        fd = os.open('.', os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETOWN, host.pid)
        fcntl.fcntl(fd, 10, signal.SIGUSR1)
        fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_CREATE)
        open('new', 'w').close()
        time.sleep(0.05)
    """,
    ),
    case(
        "has_a_timer_signal_another_thread",
        """
        event = struct.pack('QiiI', 0, 10, 4, host.pid) + bytes(44)
        made = ctypes.c_int()
        syscall('timer_create', 1, event, ctypes.byref(made)); won()
    """,
        control=None,
        why="the kernel lets a timer signal threads of the own process only",
    ),
    case(
        "sets_the_limit_of_a_process",
        """
        import resource
        resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (3, 3))
    """,
    ),
    case("slows_a_process_down", "os.setpriority(os.PRIO_PROCESS, host.pid, 19)"),
    case("pins_a_process", "os.sched_setaffinity(host.pid, {0})"),
    case(
        "changes_the_schedule_of_a_process",
        """
        os.sched_setscheduler(host.pid, os.SCHED_IDLE, os.sched_param(0)); won()
    """,
    ),
    case("changes_the_io_of_a_process", "syscall('ioprio_set', 1, host.pid, 3 << 13); won()"),
    case(
        "moves_a_process_to_another_group",
        "os.setpgid(host.pid, host.pid); won()",
        control=None,
        why="the kernel allows it for own children only",
    ),
    case("sees_the_session_of_a_process", "os.getsid(host.pid); won()"),
    case("interrupts_its_parent", "os.kill(os.getppid(), signal.SIGCONT); won()", control="root"),
    case("kills_its_parent", "os.kill(os.getppid(), 9); won()", control="root"),
    case("kills_the_first_process", "os.kill(1, 9); won()", control="root"),
    case(
        "moves_the_pages_of_a_process",
        """
        nodes = ctypes.byref(ctypes.c_ulong(1))
        syscall('migrate_pages', host.pid, 2, nodes, nodes); won()
    """,
    ),
    case(
        "asks_for_the_death_of_a_process",
        """
        fd = syscall('pidfd_open', host.pid, 0)
        syscall('process_mrelease', fd, 0)
    """,
        control=None,
        why="only a process that is dying already can be released",
    ),
)
