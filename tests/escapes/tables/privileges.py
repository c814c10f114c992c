"""Privileges: users, capabilities, set-uid files, namespaces, mounts, schedules, limits."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_ROOT = "only the machine's own root may, whom a namespace cannot give"
_OWN = "try: syscall('unshare', 0x20000)\nexcept OSError: pass\n"  # spares the control's referee
_IN_NEW = "syscall('unshare', 0x10000000); won()"


def _unshares(name: str, flags: int) -> object:
    return case(name, f"syscall('unshare', {flags:#x}); won()", control="root")


CASES = (
    case("makes_a_namespace_of_users", _IN_NEW),
    case("makes_namespaces_of_users_and_mounts", "syscall('unshare', 0x10020000); won()"),
    _unshares("makes_a_namespace_of_mounts", 0x00020000),
    _unshares("makes_a_namespace_of_the_network", 0x40000000),
    _unshares("makes_a_namespace_of_processes", 0x20000000),
    _unshares("makes_a_namespace_of_names", 0x04000000),
    _unshares("makes_a_namespace_of_objects", 0x08000000),
    _unshares("makes_a_namespace_of_groups", 0x02000000),
    _unshares("makes_a_namespace_of_time", 0x00000080),
    case(
        "clones_into_a_namespace_of_users",
        """
        pid = syscall('clone', 0x10000000 | 17, 0, 0, 0, 0)
        if pid == 0: os._exit(0)
        won()
    """,
    ),
    case(
        "clones_into_namespaces_by_clone3",
        """
        args = struct.pack('8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0)
        pid = syscall('clone3', args, len(args))
        if pid == 0: os._exit(0)
        won()
    """,
    ),
    case(
        "clones_a_thread_into_a_namespace",
        """
        args = struct.pack('8Q', 0x10000000 | 0x10000, 0, 0, 0, 0, 0, 0, 0)
        syscall('clone3', args, len(args)); won()
    """,
        control=None,
        why="the kernel refuses a thread in another namespace of users",
    ),
    case(
        "joins_the_namespaces_of_a_process",
        """
        for name in ('user', 'mnt', 'pid', 'net', 'ipc', 'uts'):
            fd = os.open('/proc/%d/ns/%s' % (host.pid, name), os.O_RDONLY); won(name)
    """,
    ),
    case(
        "joins_by_the_descriptor_of_a_process",
        """
        syscall('setns', syscall('pidfd_open', host.pid, 0), 0x08000000); won()
    """,
        control="root",
    ),
    case(
        "leaves_its_root",
        """
        os.mkdir('jail')
        fd = os.open('/', os.O_RDONLY)
        os.chroot('jail')
        os.fchdir(fd)
        for _ in range(50): os.chdir('..')
        os.chroot('.'); won()
    """,
        control="root",
    ),
    case("changes_its_root", "os.chroot('/tmp'); won()", control="root"),
    case(
        "pivots_its_root",
        "syscall('unshare', 0x20000); syscall('pivot_root', b'.', b'.'); won()",
        control=None,
        why="the root of the control is no mount of its own, which it has to be",
    ),
    case(
        "mounts_memory",
        """
        os.mkdir('m')
        syscall('mount', b'none', os.path.abspath('m').encode(), b'tmpfs', 0, None); won()
    """,
        control="root",
    ),
    case(
        "mounts_a_view_of_processes",
        """
        os.mkdir('p')
        syscall('mount', b'proc', os.path.abspath('p').encode(), b'proc', 0, None); won()
    """,
        control="root",
    ),
    case(
        "binds_a_folder",
        """
        os.mkdir('m')
        syscall('mount', b'/etc', os.path.abspath('m').encode(), None, 4096, None); won()
    """,
        control="root",
    ),
    case(
        "remounts_for_writing",
        "syscall('mount', b'none', b'/', None, 4096 | 32, None); won()",
        control=None,
        why="what is read-only in the control is locked so",
    ),
    case(
        "shares_its_mounts",
        "syscall('mount', b'none', b'/', None, (1 << 20) | 16384, None); won()",
        control="root",
    ),
    case("takes_a_mount_away", _OWN + "syscall('umount2', b'/tmp', 2); won()", control="root"),
    case(
        "takes_the_view_of_processes_away",
        _OWN + "syscall('umount2', b'/proc', 2); won()",
        control="root",
    ),
    case(
        "clones_a_mount_by_the_new_call",
        "syscall('open_tree', -100, b'/tmp', 1); won()",
        control="root",
    ),
    case(
        "opens_a_file_system_by_the_new_call",
        "syscall('fsopen', b'tmpfs', 0); won()",
        control="root",
    ),
    case("picks_a_mount_apart", "syscall(433, -100, b'/tmp', 0); won()", control="root"),
    case(
        "changes_a_mount_by_the_new_call",
        """
        syscall('mount_setattr', -100, b'/tmp', 0, struct.pack('QQQQ', 0, 0, 0, 0), 32); won()
    """,
        control="root",
    ),
    case(
        "lists_the_mounts_of_the_host",
        """
        text = open('/proc/%d/mountinfo' % host.pid).read(); won(len(text))
    """,
    ),
    case("becomes_root", "os.setuid(0); os.chown('/', 0, 0); won()", control=None, why=_ROOT),
    case(
        "becomes_another_user", "os.setresuid(12345, 12345, 12345); won()", control=None, why=_ROOT
    ),
    case("joins_other_groups", "os.setgroups([0, 5, 42]); won()", control=None, why=_ROOT),
    case(
        "takes_capabilities",
        """
        ability = struct.pack('6I', 1 << 21, 1 << 21, 0, 0, 0, 0)
        syscall('capset', struct.pack('II', 0x20080522, 0), ability)
        won()
    """,
        control="root",
    ),
    case(
        "has_capabilities",
        """
        text = open('/proc/self/status').read()
        kept = [int(line.split()[1], 16) for line in text.splitlines() if line.startswith('Cap')]
        any(kept) and won(kept)
    """,
        control="root",
    ),
    case(
        "may_gain_privileges_by_programs",
        """
        kept = open('/proc/self/status').read().split()
        kept[kept.index('NoNewPrivs:') + 1] == '0' and won()
    """,
    ),
    case(
        "makes_a_set_uid_file",
        """
        open('program', 'w').close()
        os.chmod('program', 0o6755)
        os.statvfs('.').f_flag & os.ST_NOSUID and 0 or os.stat('program').st_mode & 0o6000 and won()
    """,
    ),
    case(
        "makes_a_set_uid_file_by_descriptor",
        """
        fd = os.open('program', os.O_CREAT | os.O_RDWR, 0o4755)
        os.fchmod(fd, 0o4755)
        os.fstat(fd).st_mode & 0o4000 and not os.fstatvfs(fd).f_flag & os.ST_NOSUID and won()
    """,
    ),
    case(
        "makes_a_set_uid_file_by_opening",
        """
        os.umask(0)
        fd = os.open('program', os.O_CREAT | os.O_RDWR, 0o4755)
        os.fstat(fd).st_mode & 0o4000 and not os.fstatvfs(fd).f_flag & os.ST_NOSUID and won()
    """,
    ),
    case(
        "runs_a_set_uid_program",
        """
        import subprocess
        for path in ('/bin/su', '/usr/bin/su', '/usr/bin/passwd', '/usr/bin/mount'):
            try: subprocess.run([path, '--version'], capture_output=True, timeout=3)
            except (FileNotFoundError,): continue
            won(path)
            break
    """,
        allowed_in=("programs",),  # which run without privileges there
    ),
    case("raises_its_priority", "os.nice(-5); won()", control=None, why=_ROOT),
    case(
        "becomes_real_time",
        """
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)); won()
    """,
        control=None,
        why=_ROOT,
    ),
    case(
        "raises_a_limit_that_is_hard",
        """
        import resource
        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
            soft, hard = resource.getrlimit(kind)
            if hard != -1:
                try: resource.setrlimit(kind, (hard + 1, hard + 1)); won(kind)
                except (ValueError, OSError): pass
    """,
        control=None,
        why=_ROOT,
    ),
    case("sets_the_name_of_the_host", "socket.sethostname('taken'); won()", control="root"),
    case(
        "sets_the_domain_of_the_host",
        "syscall('setdomainname', b'taken', 5); won()",
        control="root",
    ),
    case(
        "sets_the_clock",
        "time.clock_settime(time.CLOCK_REALTIME, time.time()); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "restarts_the_machine",
        "syscall('reboot', 0xfee1dead, 672274793, 0x1234567, None)",
        control="root",
    ),
    case(
        "restarts_by_a_key",
        "syscall('reboot', 0xfee1dead, 672274793, 0, None); won()",
        control=None,
        why=_ROOT,
    ),
    case(
        "swaps_to_its_own_file",
        """
        with open('swap', 'wb') as file: file.write(bytes(1 << 20))
        syscall('swapon', b'swap', 0); won()
    """,
        control=None,
        why=_ROOT,
    ),
    case("accounts_for_everybody", "syscall('acct', None); won()", control=None, why=_ROOT),
    case("hangs_the_terminal_up", "syscall('vhangup'); won()", control=None, why=_ROOT),
)
