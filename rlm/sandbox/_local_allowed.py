"""What restricted cells are given of the standard library's modules, by name."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NAMES", "OPERATORS"]

NAMES: Mapping[str, str] = {
    "abc": "ABC",
    "base64": "b64encode b64decode b32encode b32decode b16encode b16decode b85encode b85decode"
    " urlsafe_b64encode urlsafe_b64decode standard_b64encode standard_b64decode",
    "binascii": "hexlify unhexlify crc32 Error",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "calendar": "monthrange isleap leapdays weekday timegm month_name month_abbr day_name day_abbr",
    "cmath": "*",
    "collections": "ChainMap Counter OrderedDict UserDict UserList defaultdict deque namedtuple",
    "collections.abc": "*",
    "colorsys": "rgb_to_yiq yiq_to_rgb rgb_to_hls hls_to_rgb rgb_to_hsv hsv_to_rgb",
    "concurrent.futures": "as_completed wait FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED"
    " TimeoutError CancelledError",
    "contextlib": "contextmanager asynccontextmanager suppress closing nullcontext ExitStack",
    "csv": "reader writer DictReader DictWriter Sniffer Error QUOTE_ALL QUOTE_MINIMAL"
    " QUOTE_NONNUMERIC QUOTE_NONE",
    "dataclasses": "field fields replace is_dataclass MISSING KW_ONLY FrozenInstanceError",
    "datetime": "date datetime time timedelta timezone tzinfo UTC MINYEAR MAXYEAR",
    "decimal": "Decimal Context getcontext localcontext setcontext Clamped DecimalException"
    " DivisionByZero FloatOperation Inexact InvalidOperation Overflow Rounded Subnormal Underflow"
    " ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP"
    " ROUND_05UP MAX_PREC MAX_EMAX MIN_EMIN",
    "difflib": "SequenceMatcher Differ get_close_matches ndiff unified_diff context_diff",
    "enum": "auto unique",
    "fractions": "Fraction",
    "functools": "reduce partial lru_cache cache cmp_to_key cached_property",
    "hashlib": "md5 sha1 sha224 sha256 sha384 sha512 sha3_256 sha3_512 blake2b blake2s",
    "heapq": "heappush heappop heapify heappushpop heapreplace nlargest nsmallest merge",
    "html": "escape unescape",
    "html.parser": "HTMLParser",
    "io": "StringIO BytesIO",
    "itertools": "*",
    "json": "loads dumps load dump JSONDecodeError JSONEncoder",
    "math": "*",
    "numbers": "Number Complex Real Rational Integral",
    "queue": "Queue LifoQueue PriorityQueue SimpleQueue Empty Full",
    "re": "compile search match fullmatch split findall finditer sub subn escape error Pattern"
    " Match A ASCII I IGNORECASE L M MULTILINE S DOTALL U UNICODE X VERBOSE RegexFlag NOFLAG",
    "statistics": "*",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits"
    " punctuation printable whitespace capwords Template",
    "struct": "pack unpack unpack_from iter_unpack calcsize error",
    "textwrap": "*",
    "time": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time strftime"
    " strptime gmtime localtime mktime ctime asctime struct_time",
    "types": "MappingProxyType NoneType",
    "typing": "Any Callable ClassVar Dict Final FrozenSet Generator Generic Iterable Iterator List"
    " Literal Mapping NamedTuple Optional Protocol Sequence Set Tuple Type TypedDict TypeVar Union"
    " cast Awaitable Coroutine DefaultDict Deque Counter Annotated TypeAlias NewType Self Never"
    " NoReturn Hashable Sized Collection Container Reversible MutableMapping MutableSequence"
    " MutableSet AbstractSet ItemsView KeysView ValuesView AsyncIterator AsyncIterable OrderedDict"
    " AsyncGenerator ParamSpec Concatenate AnyStr Text Required NotRequired Pattern Match"
    " SupportsInt SupportsFloat TYPE_CHECKING assert_never",
    "unicodedata": "*",
    "urllib.parse": "quote quote_plus unquote unquote_plus urlencode urljoin urlparse urlsplit"
    " urlunparse urlunsplit parse_qs parse_qsl",
    "uuid": "UUID uuid3 uuid4 uuid5 NAMESPACE_DNS NAMESPACE_URL",
    "zlib": "compress decompress crc32 adler32 error",
}
"""What is taken of each module; `*` is its `__all__`, or all that is public and no module."""

OPERATORS = (
    "add sub mul truediv floordiv mod pow neg pos abs eq ne lt le gt ge and_ or_ xor not_ truth"
    " is_ is_not contains concat countOf indexOf getitem itemgetter invert lshift rshift matmul"
)
