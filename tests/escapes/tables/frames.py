"""Forged frames and answers: what a cell writes onto the wire in the guest's name."""

from __future__ import annotations

from ..case import Case, case

__all__ = ["CASES"]

_END = """
inf = float("inf")
done = {'t': 'done', 'n': 2, 'stdout': '', 'stderr': '', 'stdout_chars': 0, 'stderr_chars': 0,
        'value': None, 'error': None, 'variables': [], 'files': []}
"""
_CALL = "call = {'t': 'call', 'id': 7, 'name': 'known', 'args': [], 'kwargs': {}}\n"


class Source(str):
    """An expression of the cell's own, not written out here."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _ends(name: str, /, **told: object) -> Case:
    """Make a case that ends its own cell with a false record."""
    return case(name, f"{_END}done.update({told!r})\nsay(frame(done))\ntime.sleep(0.03)\n")


def _calls(name: str, /, **told: object) -> Case:
    """Make a case that calls the host with a false request."""
    return case(name, f"{_CALL}call.update({told!r})\nsay(frame(call))\ntime.sleep(0.03)\n")


CASES = (
    _calls("calls_a_function_that_is_not_offered", name="hidden"),
    _calls("calls_an_attribute_of_the_table", name="__class__"),
    _calls("calls_a_method_of_the_table", name="clear"),
    _calls("calls_by_a_name_that_is_no_text", name=[["known"]]),
    _calls("calls_by_a_dotted_name", name="known.__globals__.clear"),
    _calls("calls_with_a_number_that_is_text", id="seven"),
    _calls("calls_with_a_number_that_is_a_list", id=[7]),
    _calls("calls_with_a_number_that_is_true", id=True),
    _calls("calls_without_a_number", id=None),
    _calls("calls_with_arguments_that_are_none", args=None),
    _calls("calls_with_arguments_that_are_text", args={"$": "str", "at": [0, 1 << 40]}),
    _calls("calls_with_another's_input", args=[{"$": "ref", "v": "place:other"}]),
    _calls("calls_with_a_reference_to_a_secret", args=[{"$": "ref", "v": "__globals__"}]),
    _calls("calls_with_a_class_of_its_own", args=[{"$": "subprocess.Popen", "v": ["true"]}]),
    _calls("calls_with_pickled_bytes", args=[{"$": "pickle", "v": "gASVIAAAAAAAAACMAm9z"}]),
    _calls(
        "calls_with_a_number_of_a_million_digits",
        args=Source("[{'$': 'int', 'v': 'f' * 1_000_000}]"),
    ),
    _calls("calls_with_keywords_that_are_no_names", kwargs={"self": 1, "": 2, "__class__": 3}),
    _calls("calls_with_a_file_of_the_host", args=[{"$": "file", "v": "/etc/passwd"}]),
    case("calls_twice_with_one_number", _CALL + "say(frame(call), frame(call)); time.sleep(0.03)"),
    case(
        "calls_ten_thousand_times_at_once",
        _CALL
        + """
say(*[frame({**call, 'id': number, 'name': 'hidden'}) for number in range(10**6, 10**6 + 10_000)])
time.sleep(0.3)
""",
    ),
    case(
        "calls_without_reading_the_answers",
        _CALL
        + """
call['args'], call['name'] = ['x' * 1000], 'hidden'
say(*[frame({**call, 'id': number}) for number in range(10**6, 10**6 + 2_000)])
time.sleep(0.2)
""",
    ),
    _ends("ends_its_cell_with_a_number_for_text", stdout=5),
    _ends("ends_its_cell_with_a_list_for_a_value", value=["x"]),
    _ends("ends_its_cell_with_an_object_for_a_value", value={"$": "bytes", "v": "AAAA"}),
    _ends("ends_its_cell_with_a_negative_count", stdout_chars=-5),
    _ends("ends_its_cell_with_a_count_that_is_no_number", stdout_chars="many"),
    _ends("ends_its_cell_with_an_endless_count", stdout_chars=1e999),
    _ends("ends_its_cell_with_text_without_bound", stdout=Source("'x' * 20_000_000")),
    _ends("ends_its_cell_with_a_value_without_bound", value=Source("'x' * 20_000_000")),
    _ends("ends_its_cell_with_variables_that_are_none", variables=[1, 2, 3]),
    _ends(
        "ends_its_cell_with_a_million_variables",
        variables=Source("[['a' * 3000, 'b', None, 'c']] * 5000"),
    ),
    _ends(
        "ends_its_cell_with_a_variable_without_bound",
        variables=Source("[['x' * 10**6, '', None, '']]"),
    ),
    _ends("ends_its_cell_with_an_error_that_is_none", error={"type": 1}),
    _ends(
        "ends_its_cell_with_an_unknown_kind_of_error",
        error={
            "type": "X",
            "message": "",
            "line": 1,
            "source": "",
            "traceback": "",
            "kind": "fatal",
        },
    ),
    _ends("ends_another_cell_than_its_own", n=77),
    _ends("ends_a_cell_that_has_no_number", n=None),
    _ends("ends_its_cell_with_files_of_the_host", files=["place:other", "/etc/passwd", 5]),
    case("ends_its_cell_twice", _END + "say(frame(done), frame(done)); time.sleep(0.03)"),
    case(
        "ends_its_cell_and_runs_on",
        _END
        + """
import threading
say(frame(done))
threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(50)]).start()
""",
    ),
    case(
        "ends_the_next_cell_too",
        _END
        + """
say(frame(done), frame({**done, 'n': 3, 'value': 'forged'})); time.sleep(0.03)
""",
    ),
    case(
        "claims_a_frame_without_end",
        """
say(struct.pack('!IQ', 10, 2**62) + b'x' * 1000)
""",
    ),
    case("claims_json_without_end", "say(struct.pack('!IQ', 2**32 - 1, 0) + b'[' * 1000)"),
    case("sends_half_a_frame", "say(struct.pack('!IQ', 100, 0) + b'{')"),
    case("sends_noise", "say(os.urandom(5000))"),
    case("sends_zeros", "say(bytes(100_000)); os._exit(0)"),
    case("sends_nested_json", "say(frame(b'[' * 200_000 + b']' * 200_000)); time.sleep(0.03)"),
    case(
        "sends_nested_objects",
        """
say(frame(b'{"t":' * 100_000 + b'1' + b'}' * 100_000)); time.sleep(0.03)
""",
    ),
    case("sends_json_that_is_no_object", "say(frame([1, 2, 3])); time.sleep(0.03)"),
    case("sends_an_object_without_a_type", "say(frame({'x': 1})); time.sleep(0.03)"),
    case(
        "sends_a_number_of_many_digits",
        """
say(frame(b'{"t":"call","id":' + b'9' * 100_000 + b',"name":"known","args":[],"kwargs":{}}'))
time.sleep(0.03)
""",
    ),
    case(
        "sends_what_is_no_number",
        _CALL
        + """
say(frame(json.dumps({**call, 'id': float('nan')}).encode())); time.sleep(0.03)
""",
    ),
    case(
        "sends_invalid_utf8",
        """
say(frame(b'{"t":"output","stream":"stdout","text":"\\xff\\xfe"}')); time.sleep(0.03)
""",
    ),
    case(
        "sends_half_a_surrogate",
        _CALL
        + """
say(frame(b'{"t":"output","stream":"stdout","text":"\\\\ud800"}')); time.sleep(0.03)
sys.stdout.buffer.write(b'\\xed\\xa0\\x80'); sys.stdout.flush()
""",
    ),
    case(
        "prints_into_a_stream_of_its_own",
        """
say(frame({'t': 'output', 'stream': '__class__', 'text': 'x'})); time.sleep(0.03)
""",
    ),
    case(
        "prints_what_is_no_text",
        """
say(frame({'t': 'output', 'stream': 'stdout', 'text': [1]})); time.sleep(0.03)
""",
    ),
    case(
        "says_ready_again", "say(frame({'t': 'ready', 'version': 1, 'pid': 1})); time.sleep(0.03)"
    ),
    case("says_that_it_failed", "say(frame({'t': 'failed', 'message': 'x'})); time.sleep(0.03)"),
    case(
        "answers_a_call_of_its_own",
        """
say(frame({'t': 'answer', 'id': 1, 'value': 'forged'})); time.sleep(0.03)
""",
    ),
    case(
        "submits_by_a_frame",
        """
say(frame({'t': 'submit', 'outputs': {'answer': 'forged'}})); time.sleep(0.03)
""",
    ),
    case("lowers_the_bill", "say(frame({'t': 'usage', 'usd': -100})); time.sleep(0.03)"),
    case(
        "binds_itself_again",
        """
say(frame({'t': 'bind', 'version': 1, 'functions': ['hidden'], 'variables': {}})); time.sleep(0.03)
""",
    ),
    case(
        "has_a_cell_executed", "say(frame({'t': 'execute', 'code': 'x', 'n': 9})); time.sleep(0.03)"
    ),
    case(
        "closes_a_sibling",
        """
say(*[frame({'t': 'close', 'id': number}) for number in (1, 2, host.sibling_pid)]); time.sleep(0.03)
""",
    ),
    case(
        "interrupts_a_sibling",
        """
say(frame({'t': 'interrupt', 'id': host.sibling_pid})); time.sleep(0.03)
""",
    ),
    case(
        "says_that_a_sibling_is_gone",
        """
say(*[frame({'t': 'gone', 'id': n, 'code': 0}) for n in (1, 2, host.sibling_pid)]); time.sleep(0.03)
""",
    ),
    case(
        "fills_the_memory_of_the_host",
        """
# the same bytes again and again: it costs the cell nothing
piece = bytes(1 << 20)
say(struct.pack('!IQ', 2, 500 << 20) + b'{}', *[piece] * 400)
""",
        memory_mb=64,
    ),
    case(
        "fills_the_memory_of_the_host_in_a_call",
        _CALL
        + """
piece, body = bytes(1 << 20), json.dumps(call).encode()
say(struct.pack('!IQ', len(body), 900 << 20) + body, *[piece] * 600)
""",
        memory_mb=64,
    ),
    case(
        "fills_the_memory_of_the_host_with_output",
        """
text = frame({'t': 'output', 'stream': 'stdout', 'text': 'x' * (1 << 20)})
for _ in range(30): say(text)
""",
        memory_mb=64,
    ),
)
