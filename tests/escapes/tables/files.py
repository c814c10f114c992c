"""Files of the host: read, written, listed, renamed, linked, looked at; by detours too."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case("reads_a_file_of_the_host", "print(open(host.secret_file).read())"),
    case("writes_a_file_of_the_host", "open(host.open_file, 'w').write('changed')"),
    case("appends_to_a_file_of_the_host", "open(host.open_file, 'a').write('more')"),
    case("truncates_by_path", "os.truncate(host.open_file, 0)"),
    case("truncates_by_opening", "os.open(host.open_file, os.O_RDONLY | os.O_TRUNC)"),
    case("removes_a_file", "os.unlink(host.open_file)"),
    case("renames_a_file", "os.rename(host.open_file, host.open_file + '.gone')"),
    case(
        "renames_out_of_the_host", "os.rename(host.open_file, 'mine'); print(open('mine').read())"
    ),
    case(
        "exchanges_two_files",
        "syscall('renameat2', -100, host.open_file.encode(), -100, host.secret_file.encode(), 2)",
    ),
    case("makes_a_file", "open(host.folder + '/new', 'x').close()"),
    case("makes_a_folder", "os.mkdir(host.inner + '/new')"),
    case("makes_a_fifo", "os.mkfifo(host.inner + '/new')"),
    case("makes_a_symlink", "os.symlink('/etc/passwd', host.inner + '/new')"),
    case("makes_a_socket", "socket.socket(socket.AF_UNIX).bind(host.inner + '/new')"),
    case("makes_a_nameless_file", "os.open(host.inner, os.O_TMPFILE | os.O_RDWR); won()"),
    case("removes_a_folder", "import shutil; shutil.rmtree(host.inner)"),
    case("lists_a_folder", "print(os.listdir(host.inner))"),
    case("lists_by_scandir_of_a_descriptor", "print(os.listdir(os.open(host.inner, os.O_RDONLY)))"),
    case("looks_at_a_file", "print(os.stat(host.secret_file).st_mtime_ns)"),
    case("looks_at_a_file_by_lstat", "print(os.lstat(host.secret_file).st_mtime_ns)"),
    case(
        "looks_from_a_folder",
        "print(os.stat('secret.txt', dir_fd=os.open(host.folder, os.O_PATH)).st_mtime_ns)",
    ),
    case("asks_whether_a_file_is_there", "os.access(host.secret_file, os.R_OK) and won()"),
    case("changes_its_mode", "os.chmod(host.open_file, 0o777)"),
    case("changes_a_mode_by_descriptor", "os.fchmod(os.open(host.open_file, os.O_RDONLY), 0o755)"),
    case(
        "changes_a_mode_by_a_new_call",
        "syscall('fchmodat2', -100, host.open_file.encode(), 0o755, 0)",
    ),
    case("changes_the_mode_of_a_folder", "os.chmod(host.inner, 0)"),
    case("changes_its_times", "os.utime(host.open_file, (1, 1))"),
    case(
        "changes_its_times_by_number",
        """
        syscall('utimensat', -100, host.open_file.encode(), struct.pack('qqqq', 1, 1, 1, 1), 0)
    """,
    ),
    case("changes_its_owner", "os.chown(host.open_file, 0, 0); won()", control="root"),
    case("writes_an_attribute", "os.setxattr(host.open_file, 'user.mine', b'1')"),
    case("reads_an_attribute", "print(os.getxattr(host.open_file, 'user.key'))"),
    case("removes_an_attribute", "os.removexattr(host.open_file, 'user.key')"),
    case("links_a_file_to_itself", "os.link(host.secret_file, 'mine'); print(open('mine').read())"),
    case("links_a_file_beside_it", "os.link(host.open_file, host.inner + '/linked')"),
    case("reads_through_a_symlink", "os.symlink(host.secret_file, 'x'); print(open('x').read())"),
    case(
        "reads_through_a_symlinked_folder",
        """
        os.symlink(host.folder, 'x'); print(open('x/secret.txt').read())
    """,
    ),
    case("writes_through_a_symlink", "os.symlink(host.open_file, 'x'); open('x', 'w').close()"),
    case("reads_through_its_own_root", "print(open('/proc/self/root' + host.secret_file).read())"),
    case(
        "reads_through_a_thread_of_its_own",
        """
        print(open('/proc/thread-self/root' + host.secret_file).read())
    """,
    ),
    case(
        "reads_through_the_root_of_the_first_process",
        """
        print(open('/proc/1/root' + host.secret_file).read())
    """,
        control="root",
    ),
    case(
        "reads_through_the_root_of_its_parent",
        """
        print(open('/proc/%d/root%s' % (os.getppid(), host.secret_file)).read())
    """,
        control="root",
    ),
    case(
        "reads_through_the_root_of_the_host",
        """
        print(open('/proc/%d/root%s' % (host.pid, host.secret_file)).read())
    """,
    ),
    case(
        "climbs_with_dots",
        """
        print(open('../' * 40 + host.secret_file.lstrip('/')).read())
    """,
    ),
    case(
        "climbs_from_an_open_folder",
        """
        here = os.open('.', os.O_PATH)
        up = os.open('../' * 40, os.O_PATH, dir_fd=here)
        print(os.read(os.open(host.secret_file[1:], os.O_RDONLY, dir_fd=up), 100))
    """,
    ),
    case(
        "climbs_after_chdir",
        """
        os.chdir('/')
        os.chdir(os.path.dirname(host.secret_file))
        print(open('secret.txt').read())
    """,
    ),
    case(
        "opens_a_path_and_then_its_descriptor",
        """
        fd = os.open(host.secret_file, os.O_PATH)
        print(open('/proc/self/fd/%d' % fd).read())
    """,
    ),
    case(
        "opens_a_path_and_then_dev_fd",
        """
        fd = os.open(host.secret_file, os.O_PATH)
        print(open('/dev/fd/%d' % fd).read())
    """,
    ),
    case(
        "opens_with_openat2",
        """
        how = struct.pack('QQQ', os.O_RDONLY, 0, 0)
        fd = syscall('openat2', -100, host.secret_file.encode(), how, 24)
        print(os.read(fd, 100))
    """,
    ),
    case(
        "opens_by_its_handle",
        """
        handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
        mount = ctypes.c_int()
        path = host.secret_file.encode()
        syscall('name_to_handle_at', -100, path, handle, ctypes.byref(mount), 0)
        root = os.open(host.folder, os.O_RDONLY)
        print(os.read(syscall('open_by_handle_at', root, handle, os.O_RDONLY), 100))
    """,
        control=None,
        why="only the machine's own root may open by handle",
    ),
    case(
        "maps_a_file_of_the_host",
        """
        import mmap
        with open(host.open_file, 'r+b') as file:
            mmap.mmap(file.fileno(), 0)[:7] = b'changed'
    """,
    ),
    case(
        "maps_a_readable_file",
        """
        import mmap
        with open(host.secret_file, 'rb') as file:
            print(bytes(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))
    """,
    ),
    case(
        "opens_by_the_old_call",
        """
        print(os.read(syscall('openat', -100, host.secret_file.encode(), 0, 0), 100))
    """,
    ),
    case(
        "copies_with_sendfile",
        """
        here = os.open('copy', os.O_CREAT | os.O_RDWR)
        os.sendfile(here, os.open(host.secret_file, os.O_RDONLY), 0, 100)
        print(os.pread(here, 100, 0))
    """,
    ),
    case(
        "loads_a_file_as_a_library",
        """
        try: ctypes.CDLL(host.secret_file)
        except OSError as error: ('ELF' in str(error) or 'too short' in str(error)) and won()
    """,
    ),
    case(
        "reads_a_file_as_a_module",
        """
        import importlib.machinery
        loader = importlib.machinery.SourceFileLoader('x', host.secret_file)
        print(loader.get_data(host.secret_file))
    """,
    ),
    case("reads_by_linecache", "import linecache; print(linecache.getlines(host.secret_file))"),
    case(
        "reads_by_a_traceback",
        """
        code = compile('\\n1/0', host.secret_file, 'exec')
        code = code.replace(co_firstlineno=0)
        import linecache
        print(linecache.getline(host.secret_file, 1))
        exec(compile('1/0', host.secret_file, 'exec'))
    """,
    ),
    case(
        "follows_a_move_of_its_own_folder",
        """
        os.rename(os.getcwd(), host.inner + '/moved')
    """,
    ),
    case(
        "watches_files_of_the_host",
        """
        fd = syscall('inotify_init1', 0)
        if libc.inotify_add_watch(fd, host.folder.encode(), 0xfff) >= 0: won()
    """,
    ),
    case("watches_all_files", "syscall('fanotify_init', 0x200, 0); won()"),
    case(
        "reads_the_passwords_of_the_machine",
        """
        text = open('/etc/passwd').read()
        host.folder and os.path.exists(host.folder) and won(text)
    """,
    ),
    case(
        "reads_private_keys",
        """
        import glob
        print([open(path, 'rb').read() for path in glob.glob(host.folder + '/secret*')])
    """,
    ),
    case(
        "locks_a_file_of_the_host",
        """
        import fcntl
        fcntl.flock(open(host.secret_file), fcntl.LOCK_EX | fcntl.LOCK_NB); won()
    """,
    ),
)
