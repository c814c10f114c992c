"""The environment and the memory of the host: variables, keys, what a fork inherits."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]

_SCAN = """
    import re
    found = set()
    mark = 'HOST-' + 'MEMORY='
    pattern = re.compile(mark.encode() + b'[0-9a-f]{24}')
    with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
        for line in maps:
            ends, rights = line.split()[:2]
            start, end = (int(end, 16) for end in ends.split('-'))
            if 'r' not in rights or '[v' in line or end - start > 1 << 28: continue
            try:
                memory.seek(start)
                found.update(pattern.findall(memory.read(end - start)))
            except OSError: pass
    print(found)
"""

CASES = (
    case("reads_the_variables", "print(dict(os.environ))"),
    case(
        "asks_c_for_a_variable",
        """
        libc.getenv.restype = ctypes.c_char_p
        print(libc.getenv(('RLM_ESCAPE' + '_KEY').encode()))
    """,
    ),
    case("reads_its_own_first_variables", "print(open('/proc/self/environ', 'rb').read())"),
    case(
        "reads_those_of_its_parent",
        """
        print(open('/proc/%d/environ' % os.getppid(), 'rb').read())
    """,
        control="root",
    ),
    case("reads_those_of_a_process", "print(open('/proc/%d/environ' % host.pid, 'rb').read())"),
    case(
        "reads_those_of_the_host",
        """
        print(open('/proc/%d/environ' % host.host_pid, 'rb').read())
    """,
        control="root",
    ),
    case(
        "reads_those_of_everybody",
        """
        for name in os.listdir('/proc'):
            if name.isdigit() and int(name) != os.getpid():
                try: print(open('/proc/%s/environ' % name, 'rb').read())
                except OSError: pass
    """,
    ),
    case(
        "looks_for_keys_in_all_objects",
        """
        import gc
        mark = ('HOST-' + 'MEMORY=').encode()
        for one in gc.get_objects():
            for value in (list(vars(one).values()) if hasattr(one, '__dict__') else []):
                if isinstance(value, bytes) and value.startswith(mark): print(value)
            if type(one) is dict:
                for value in list(one.values()):
                    if isinstance(value, bytes) and value.startswith(mark): print(value)
    """,
    ),
    case("looks_for_keys_in_its_own_memory", _SCAN, seconds=20),
    case(
        "looks_for_keys_in_its_own_pages_by_ctypes",
        """
        import re
        pattern = re.compile(('HOST-' + 'MEMORY=').encode() + b'[0-9a-f]{24}')
        for line in open('/proc/self/maps'):
            ends, rights = line.split()[:2]
            start, end = (int(end, 16) for end in ends.split('-'))
            if rights.startswith('rw') and end - start < 1 << 26:
                print(pattern.findall(ctypes.string_at(start, end - start)))
    """,
        seconds=20,
    ),
    case(
        "reads_the_stack_above_main",
        """
        stack = [line for line in open('/proc/self/maps') if '[stack]' in line][0]
        start, end = (int(end, 16) for end in stack.split()[0].split('-'))
        print([one for one in ctypes.string_at(start, end - start).split(b'\\0') if b'KEY' in one])
    """,
    ),
    case(
        "reads_the_auxiliary_vector_of_the_host",
        """
        print(open('/proc/%d/auxv' % host.pid, 'rb').read(16)); won()
    """,
    ),
    case(
        "finds_the_command_of_the_host",
        """
        print(open('/proc/%d/cmdline' % host.pid, 'rb').read()); won()
    """,
    ),
)
