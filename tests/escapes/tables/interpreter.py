"""The interpreter's own files, and what a later session would take from them."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

CASES = (
    case(
        "writes_a_module_of_the_library",
        """
        with open(host.stdlib + '/colorsys.py', 'a') as file: file.write('\\nimport builtins')
        won()
    """,
    ),
    case(
        "adds_a_module_to_the_library",
        """
        open(host.stdlib + '/escaped.py', 'w').write('x = 1')
    """,
        then="import escaped; won()",
    ),
    case(
        "adds_compiled_code_to_the_library",
        """
        os.makedirs(host.stdlib + '/__pycache__', exist_ok=True)
        name = 'colorsys.%s.pyc' % sys.implementation.cache_tag
        open(host.stdlib + '/__pycache__/' + name, 'ab').close(); won()
    """,
    ),
    case("removes_a_module_of_the_library", "os.unlink(host.stdlib + '/sndhdr.py'); won()"),
    case(
        "renames_a_module_of_the_library",
        """
        os.rename(host.stdlib + '/colorsys.py', host.stdlib + '/x.py'); won()
    """,
    ),
    case(
        "changes_the_times_of_the_library",
        """
        os.utime(host.stdlib + '/colorsys.py', (5, 5))
        os.stat(host.stdlib + '/colorsys.py').st_mtime == 5 and won()
    """,
    ),
    case(
        "changes_the_mode_of_the_library",
        """
        os.chmod(host.stdlib + '/colorsys.py', 0o777)
        os.stat(host.stdlib + '/colorsys.py').st_mode & 0o777 == 0o777 and won()
    """,
    ),
    case(
        "opens_the_library_for_writing", "os.open(host.stdlib + '/colorsys.py', os.O_RDWR); won()"
    ),
    case(
        "maps_the_library_for_writing",
        """
        import mmap
        with open(host.stdlib + '/colorsys.py', 'r+b') as file:
            mmap.mmap(file.fileno(), 0)[:1] = b'x'; won()
    """,
    ),
    case("links_into_the_library", "os.symlink('/tmp', host.stdlib + '/linked'); won()"),
    case(
        "writes_the_program_that_runs_it",
        """
        path = os.path.realpath(sys.executable or '/proc/self/exe')
        os.close(os.open('/proc/self/exe', os.O_WRONLY)); won(path)
    """,
        control=None,
        why="a program that runs cannot be written, by anybody",
    ),
    case(
        "writes_where_packages_are_looked_for",
        """
        for folder in sys.path + [os.path.expanduser('~/.local/lib')]:
            try: open(os.path.join(folder or '.', 'escaped_too.py'), 'w').close(); won(folder)
            except OSError: pass
    """,
    ),
    case(
        "leaves_a_module_in_its_folder_for_the_next",
        "open('escaped.py', 'w').write('x = 1')",
        then="""
        sys.path.insert(0, os.getcwd())
        for folder in [os.path.join('..', name) for name in os.listdir('..')]:
            sys.path.insert(0, folder)
        import escaped; won()
    """,
    ),
    case(
        "leaves_a_start_for_the_next",
        """
        for folder in (host.stdlib, '/tmp', os.path.expanduser('~')):
            try: open(folder + '/usercustomize.py', 'w').write('x = 1')
            except OSError: pass
    """,
        then="sys.path.insert(0, host.stdlib); import usercustomize; won()",
    ),
    case(
        "changes_a_module_for_the_next",
        "import json; json.loads = lambda text: 'mine'",
        then="import json; json.loads('1') == 'mine' and won()",
        control=None,
        why="the bare host forks a session too, before the cell changes anything",
    ),
    case(
        "changes_the_builtins_for_the_next",
        "import builtins; builtins.escaped = 1",
        then="escaped and won()",
        control=None,
        why="the bare host forks a session too, before the cell changes anything",
    ),
    case(
        "changes_the_path_for_the_next",
        "sys.path.insert(0, '/tmp/escaped')",
        then="'/tmp/escaped' in sys.path and won()",
        control=None,
        why="the bare host forks a session too, before the cell changes anything",
    ),
    case(
        "changes_its_memory_for_the_next",
        """
        ctypes.memmove(id(1) + 24, struct.pack('i', 1), 4)
        import decimal
        decimal.escaped = 1
    """,
        then="import decimal; decimal.escaped and won()",
        control=None,
        why="the bare host forks a session too, before the cell changes anything",
    ),
    case(
        "writes_inputs_that_all_share",
        """
        buffer = (ctypes.c_char * len(open(host.open_file).read()))
        fd = os.open(host.open_file, os.O_RDWR)
        os.pwrite(fd, b'changed', 0)
    """,
    ),
)
