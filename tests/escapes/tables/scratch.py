"""What is left in a session's folder to trap whoever cleans it up, and races with the cleaning."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_REMOVED = """
# what a careless host does with the folder of a session that has ended
import shutil
def clean(top):
    for name in os.listdir(top):
        path = os.path.join(top, name)
        clean(path) if os.path.isdir(path) else os.unlink(path)
"""

CASES = (
    case(
        "leaves_a_link_to_a_folder_of_the_host",
        "os.symlink(host.folder, 'x')"
        + _REMOVED
        + """
if os.path.exists(host.secret_file): clean('.')
""",
    ),
    case(
        "is_a_link_to_a_folder_of_the_host_itself",
        """
        here = os.getcwd()
        os.rename(here, here + '-moved')
        os.symlink(host.folder, here); won()
    """,
    ),
    case(
        "leaves_a_link_among_many",
        "os.makedirs('a/b')\nos.symlink(host.folder, 'a/b/c')\n"
        "[os.symlink('..', 'l%d' % n) for n in range(100)]\n" + _REMOVED + "clean('a')\n",
    ),
    case(
        "leaves_a_folder_that_nobody_may_enter",
        """
        os.mkdir('shut'); open('shut/x', 'w').close(); os.chmod('shut', 0)
        os.stat('shut').st_mode & 0o777 == 0 and won()
    """,
    ),
    case(
        "leaves_folders_without_end",
        """
        top = os.getcwd()
        for depth in range(3000):
            os.mkdir('d'); os.chdir('d')
        os.path.exists(host.secret_file) and won()
    """,
    ),
    case(
        "leaves_folders_deeper_than_a_path",
        """
        for depth in range(60):
            os.mkdir('x' * 200); os.chdir('x' * 200)
        open('y' * 255, 'w').close()
        os.path.exists(host.secret_file) and won()
    """,
    ),
    case(
        "leaves_names_that_are_no_text",
        """
        for name in (b'\\xff\\xfe', b'\\n', b'a\\x1b[2J', b'-rf', b'*', b' ', b'\\xed\\xa0\\x80'):
            open(name, 'w').close()
        os.path.exists(host.secret_file) and won()
    """,
    ),
    case("leaves_a_fifo", "os.mkfifo('fifo'); os.path.exists(host.secret_file) and won()"),
    case(
        "leaves_a_socket",
        """
        socket.socketpair()
        socket.socket(socket.AF_UNIX).bind('sock'); won()
    """,
    ),
    case(
        "leaves_an_immutable_file",
        """
        import fcntl
        fd = os.open('fixed', os.O_CREAT | os.O_RDWR)
        fcntl.ioctl(fd, 0x40086602, struct.pack('l', 0x10)); won()
    """,
        control=None,
        why="only the machine's own root may make a file immutable",
    ),
    case(
        "moves_a_folder_while_it_is_cleaned",
        """
        import threading
        os.mkdir('a')
        mark()
        if os.fork() == 0:
            os.setsid()
            while True:
                try:
                    os.rename('a', 'b'); os.symlink(host.inner, 'a')
                    os.unlink('a'); os.rename('b', 'a')
                except OSError: time.sleep(0.001)
    """,
    ),
    case(
        "removes_its_own_folder",
        """
        here = os.getcwd()
        os.chdir('/')
        os.rmdir(here); won()
    """,
    ),
    case(
        "holds_files_open_while_it_is_cleaned",
        """
        kept = [open('f%d' % n, 'w') for n in range(200)]
        os.path.exists(host.secret_file) and won()
    """,
    ),
    case(
        "leaves_many_links_to_one_file",
        """
        open('one', 'w').close()
        for n in range(1000): os.link('one', 'l%d' % n)
        os.path.exists(host.secret_file) and won()
    """,
    ),
    case(
        "fills_its_folder_to_the_brim",
        """
        try:
            with open('full', 'wb') as file:
                while True: file.write(b'x' * (1 << 20))
        except OSError as error: print(error)
        os.path.exists(host.secret_file) and won()
    """,
        scratch_mb=16,
        seconds=30,
    ),
    case(
        "leaves_a_file_that_grows",
        """
        fd = os.open('sparse', os.O_CREAT | os.O_RDWR)
        os.ftruncate(fd, 200 << 20)
        os.fstat(fd).st_size > host.scratch_mb * 3 << 20 and won()
    """,
        scratch_mb=16,
    ),
)
