"""/proc and /sys: memory, descriptors, settings and doors of other processes and of the kernel."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_GLOBAL = "only the machine's own root may, whom a namespace cannot give"

CASES = (
    case(
        "reads_the_memory_of_a_process",
        """
        with open('/proc/%d/mem' % host.pid, 'rb', 0) as memory:
            memory.seek(host.address)
            print(memory.read(40))
    """,
    ),
    case(
        "writes_the_memory_of_a_process",
        """
        with open('/proc/%d/mem' % host.pid, 'r+b', 0) as memory:
            memory.seek(host.address)
            memory.write(b'changed')
    """,
    ),
    case(
        "reads_the_map_of_a_process", "print(open('/proc/%d/maps' % host.pid).read()[:50]); won()"
    ),
    case(
        "reads_the_memory_of_its_parent",
        """
        line = next(l for l in open('/proc/%d/maps' % os.getppid()) if ' rw' in l)
        with open('/proc/%d/mem' % os.getppid(), 'rb', 0) as memory:
            memory.seek(int(line.split('-')[0], 16))
            memory.read(16); won()
    """,
        control="root",
    ),
    case(
        "opens_a_descriptor_of_a_process",
        """
        folder = '/proc/%d/fd' % host.pid
        for name in os.listdir(folder):
            try: print(os.pread(os.open(folder + '/' + name, os.O_RDONLY | os.O_NONBLOCK), 100, 0))
            except OSError: pass
    """,
    ),
    case(
        "opens_a_descriptor_of_its_parent",
        """
        folder = '/proc/%d/fd' % os.getppid()
        for name in os.listdir(folder):
            try: print(os.readlink(folder + '/' + name)); won()
            except OSError: pass
    """,
        control="root",
    ),
    case(
        "reads_through_the_folder_of_a_process",
        """
        print(open('/proc/%d/cwd/../../../..%s' % (host.pid, host.secret_file)).read())
    """,
    ),
    case(
        "reads_through_a_map_file",
        """
        folder = '/proc/%d/map_files' % host.pid
        print(os.listdir(folder)); won()
    """,
    ),
    case(
        "reads_through_a_task_of_a_process",
        """
        print(open('/proc/%d/task/%d/root%s' % (host.pid, host.pid, host.secret_file)).read())
    """,
    ),
    case(
        "raises_the_score_of_a_process",
        """
        open('/proc/%d/oom_score_adj' % host.pid, 'w').write('900')
    """,
    ),
    case(
        "protects_itself_from_the_oom_killer",
        """
        open('/proc/self/oom_score_adj', 'w').write('-900'); won()
    """,
        control=None,
        why=_GLOBAL,
    ),
    case(
        "clears_the_references_of_a_process",
        """
        open('/proc/%d/clear_refs' % host.pid, 'w').write('1'); won()
    """,
    ),
    case(
        "renames_a_process",
        "open('/proc/%d/comm' % host.pid, 'w').write('renamed'); won()",
        control=None,
        why="the kernel lets a process rename its own threads only",
    ),
    case(
        "reads_the_kernel's_memory",
        "print(open('/proc/kcore', 'rb').read(64)); won()",
        control=None,
        why=_GLOBAL,
    ),
    case(
        "opens_the_magic_keys",
        "os.open('/proc/sysrq-trigger', os.O_WRONLY); won()",
        control=None,
        why=_GLOBAL,
    ),
    case(
        "opens_the_core_pattern",
        "os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY); won()",
        control=None,
        why=_GLOBAL,
    ),
    case(
        "opens_a_setting_of_its_namespace",
        """
        os.open('/proc/sys/kernel/hostname', os.O_WRONLY); won()
    """,
        control=None,
        why="the file belongs to the machine's own root",
    ),
    case(
        "changes_a_setting_of_the_network",
        """
        os.open('/proc/sys/net/ipv4/ip_forward', os.O_WRONLY); won()
    """,
        control="root",
    ),
    case(
        "writes_a_map_of_users",
        """
        open('/proc/%d/uid_map' % host.pid, 'w').write('0 0 1'); won()
    """,
        control=None,
        why="a map of users is written once, and the control has its own already",
    ),
    case(
        "makes_a_process_dump",
        "open('/proc/%d/coredump_filter' % host.pid, 'w').write('0x7f'); won()",
    ),
    case(
        "reads_the_kernel's_log",
        "print(open('/dev/kmsg').read(1)); won()",
        control=None,
        why=_GLOBAL,
    ),
    case(
        "joins_a_group_of_processes",
        """
        import glob
        for path in glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True):
            try: open(path, 'w').write(str(os.getpid())); won(path)
            except OSError: pass
    """,
        control=None,
        why="the groups belong to the machine's own root",
    ),
    case(
        "writes_to_the_power_switch",
        """
        os.open('/sys/power/state', os.O_WRONLY); won()
    """,
        control=None,
        why=_GLOBAL,
    ),
    case(
        "reads_the_timers_of_a_process", "print(open('/proc/%d/timers' % host.pid).read()); won()"
    ),
    case(
        "reads_how_a_process_spends_memory",
        """
        print(open('/proc/%d/smaps_rollup' % host.pid).read()); won()
    """,
    ),
    case(
        "sees_the_host's_processes",
        """
        [name for name in os.listdir('/proc') if name == str(host.pid)] and won()
        print(open('/proc/%d/stat' % host.pid).read())
    """,
    ),
)
