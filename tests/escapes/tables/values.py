"""Values that attack whoever decodes them on the host: in calls, and in what is submitted."""

from __future__ import annotations

from ..case import Case, case

__all__ = ["CASES"]

_TWICE = (
    "\nsay(frame({{'t': 'call', 'id': 7, 'name': 'known', 'args': [{0}], 'kwargs': {{}}}}))\n"
    "time.sleep(0.03)\n"
)


def _tagged(name: str, value: str) -> Case:
    """Make a case that calls the host with a tagged value of its own making."""
    return case(name, _TWICE.format(value))


def _hands(name: str, made: str, raw: str, seconds: float = 10.0) -> Case:
    """Make a case that hands a value to a function, and then its like in a frame."""
    text = (
        f"{made}\nfor function in (known, globals().get('submit', known)):\n"
        "    try: function(value)\n    except BaseException as error: print(type(error))\n"
    )
    return case(name, text + _TWICE.format(raw), seconds=seconds)


def _wide(name: str, message: str, piece: str, megabytes: int, times: int = 1) -> Case:
    """Make a case that sends a message whose list has this piece again and again."""
    return case(
        name,
        f"""
piece = {piece} * (349525 // len({piece}) * 3)
for number in range({times}):
    message = {message}
    first, last = json.dumps(message).encode().split(b'[]')
    size = len(first) + len(last) + {megabytes} * len(piece) + 3
    say(struct.pack('!IQ', size, 0), first, b'[', *[piece] * {megabytes}, b'0]', last)
time.sleep(0.3)
""",
        memory_mb=64,
    )


_CALL = "{'t': 'call', 'id': 1000 + number, 'name': 'known', 'kwargs': {}, 'args': []}"
_OUTPUT = "{'t': 'output', 'stream': 'stdout', 'text': 'x', 'more': []}"
_DONE = (
    "{'t': 'done', 'n': 2, 'stdout': '', 'stderr': '', 'stdout_chars': 0, 'stderr_chars': 0,"
    " 'value': None, 'error': None, 'variables': {}, 'files': []}"
)


CASES = (
    _wide("sends_millions_of_empty_lists", _CALL, "b'[],'", 20),
    _wide("sends_millions_of_empty_tables", _CALL, "b'{},'", 20),
    _wide("sends_millions_of_numbers", _CALL, "b'0,'", 30),
    _wide("ends_its_cell_with_millions_of_lists", _DONE, "b'[],'", 40),
    _wide("prints_beside_millions_of_lists", _OUTPUT, "b'[],'", 40, times=3),
    _wide("calls_with_much_text_in_json", _CALL, "b'\"' + b'x' * 5000 + b'\",'", 60, times=5),
    _hands(
        "hands_over_a_huge_number", "value = 1 << 8_000_000", "{'$': 'int', 'v': 'f' * 1000000}"
    ),
    _hands(
        "hands_over_a_list_that_holds_itself",
        "value = []; value.append(value)",
        "{'$': 'cycle', 'v': [1]}",
    ),
    _hands(
        "hands_over_a_deep_list",
        "value = []\nfor _ in range(50_000): value = [value]",
        "{'$': 'deep', 'v': []}",
    ),
    _hands("hands_over_what_is_no_number", "value = float('nan')", "{'$': 'nan', 'v': 'nan'}"),
    _hands(
        "hands_over_a_text_of_its_own_class",
        "class T(str):\n    def __len__(self): return -1\n    def encode(self, *a): return 5\n"
        "    def __str__(self): raise SystemExit\nvalue = T('x')",
        "{'$': 'T', 'v': 'x'}",
    ),
    _hands(
        "hands_over_a_number_of_its_own_class",
        "class N(int):\n    def __repr__(self): return 'NaN'\n    __str__ = __repr__\nvalue = N(5)",
        "{'$': 'N', 'v': 5}",
    ),
    _hands(
        "hands_over_a_table_that_lies",
        "class D(dict):\n    def items(self): return iter([(1,)])\n"
        "    def __len__(self): return 1 << 60\nvalue = D(a=1)",
        "{'$': 'D', 'v': {}}",
    ),
    _hands(
        "hands_over_an_object_with_hooks",
        "class O:\n    def __reduce__(self): return (os.system, ('true',))\nvalue = O()",
        "{'$': 'pickle', 'v': 'gA=='}",
    ),
    _hands("hands_over_a_function", "value = os.system", "{'$': 'function', 'v': 'os.system'}"),
    _hands(
        "hands_over_a_class",
        "value = type('X', (), {'__module__': 'os'})",
        "{'$': 'type', 'v': 'os.X'}",
    ),
    _hands(
        "hands_over_a_tag_as_a_table",
        "value = {'$': 'ref', 'v': 'place:other'}",
        "{'$': 'ref', 'v': 'place:other'}",
    ),
    _hands(
        "hands_over_a_tag_in_a_tag",
        "value = {'$': {'$': {'$': 'ref'}}}",
        "{'$': {'$': 'ref'}, 'v': 1}",
    ),
    _hands(
        "hands_over_keys_of_other_types",
        "value = {1: 2, None: 3, (1, 2): 4, 1.5: 5, True: 6}",
        "{'$': 'dict', 'v': [[[1], 2]]}",
    ),
    _hands("hands_over_half_a_pair", "value = '\\ud800'", "{'$': 'str', 'v': '\\ud800'}"),
    _hands(
        "hands_over_the_same_list_a_billion_times",
        "value = ['lol' * 10]\nfor _ in range(10): value = [value] * 10",
        "{'$': 'laughs', 'v': [[1] * 10] * 10}",
        seconds=0.5,
    ),
    _tagged("refers_to_an_input_of_another", "{'$': 'ref', 'v': 'session:given'}"),
    _tagged("refers_to_a_name_with_dots", "{'$': 'ref', 'v': 'place:shared.__class__'}"),
    _tagged("refers_to_bytes_outside_of_the_frame", "{'$': 'bytes', 'at': [-5, 1 << 50]}"),
    _tagged("refers_to_text_before_the_frame", "{'$': 'str', 'at': [-100, 200]}"),
    _tagged(
        "claims_an_array_of_objects", "{'$': 'ndarray', 'dtype': '|O', 'shape': [1], 'at': [0, 0]}"
    ),
    _tagged(
        "claims_an_array_without_end",
        "{'$': 'ndarray', 'dtype': '<f8', 'shape': [1 << 40], 'at': [0, 0]}",
    ),
    _tagged(
        "claims_an_array_of_negative_shape",
        "{'$': 'ndarray', 'dtype': '<f8', 'shape': [-1, 0], 'at': [0, 0]}",
    ),
    _tagged("claims_a_frame_of_nothing", "{'$': 'frame', 'v': 5, 'index': None}"),
    _tagged("claims_a_date_that_is_none", "{'$': 'datetime', 'v': '99999-99-99'}"),
    _tagged("claims_a_decimal_without_end", "{'$': 'decimal', 'v': '1e999999999999'}"),
    _tagged("claims_a_number_of_other_digits", "{'$': 'int', 'v': '0x' + '1_' * 50}"),
    _tagged("claims_a_set_of_lists", "{'$': 'set', 'v': [[1], {}]}"),
    _tagged("claims_a_table_with_tables_as_keys", "{'$': 'dict', 'v': [[{}, 1]]}"),
    _tagged(
        "claims_a_record_of_a_class_of_the_host",
        "{'$': 'record', 'type': 'rlm.run.Run', 'v': {'__class__': 1, '__dict__': 2}}",
    ),
    _tagged("claims_a_path_of_the_host", "{'$': 'path', 'v': '/etc/passwd'}"),
    _tagged("claims_an_enum_of_the_host", "{'$': 'enum', 'v': 'signal.SIGKILL'}"),
    _tagged("claims_bytes_that_are_no_base64", "{'$': 'bytes', 'v': '*' * 1000}"),
)
