"""Plain JSON and bytes: the same with orjson and without it, and no value is changed."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections import Counter, OrderedDict, UserDict
from collections.abc import Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, texts

import rolloutlog._json as own_json
from rolloutlog._json import FAST, JSON, MAX_DEPTH, STANDARD, InvalidJson, check_depth, exactly, settled
from rolloutlog._plain import plain, snapshot, stringified
from rolloutlog.exceptions import InvalidItemError

needs_orjson = pytest.mark.skipif(FAST is None, reason="orjson is not installed")
both = pytest.mark.parametrize(
    "codec",
    [pytest.param(STANDARD, id="standard"), pytest.param(FAST, id="orjson", marks=needs_orjson)],
)


class Colour(enum.StrEnum):
    RED = "red"


def nested(depth):
    """Return that many lists, one inside the other."""
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


# --- writing ----------------------------------------------------------------------------------------------------------


@both
@given(json_values)
def test_what_is_written_reads_back_the_same(codec, value):
    """An independent reader gets the same value, including large integers."""
    line = codec.dumps(value)

    assert json.loads(line.decode()) == value
    assert b"\n" not in line


@needs_orjson
@given(json_values)
def test_both_write_the_same_bytes(value):
    """Only the sign of a large exponent depends on the version of orjson; older ones leave it out."""
    assert FAST.dumps(value).replace(b"e+", b"e") == STANDARD.dumps(value).replace(b"e+", b"e")


@both
@given(st.one_of(texts, st.dictionaries(texts, texts)))
def test_text_is_written_as_the_original_writes_it(codec, value):
    """UTF-8 without spaces, in which only the characters that need it are escaped."""
    assert codec.dumps(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@both
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\ud800", "\ufffd"),
        ("a\udfffb", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(codec, text, written):
    """Readers reject half of a pair; two halves that belong together are their character."""
    assert codec.dumps([text]) == f'["{written}"]'.encode()


@both
@pytest.mark.parametrize(
    ("number", "written"),
    [
        (2**64, b"18446744073709551616"),
        (-(2**70), b"-1180591620717411303424"),
        (0.00001, b"0.00001"),
        (-1.25e-05, b"-0.0000125"),
        (1e-07, b"1e-7"),
        (-0.0, b"-0.0"),
        (5e-324, b"5e-324"),
        (123456789.0, b"123456789.0"),
    ],
)
def test_numbers_are_written_whole(codec, number, written):
    """Large integers in full, and small floats as serde and orjson write them."""
    assert codec.dumps(number) == written


@both
@pytest.mark.parametrize("value", [{1}, object(), b"x"])
def test_what_no_json_holds_is_refused(codec, value):
    """With either writer, values that got past the checks raise an error."""
    with pytest.raises(TypeError):
        codec.dumps([value])


# --- reading ----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"a":1} {"b":2}', "is not JSON"),
        (b"NaN", "is not JSON"),
        (b"[Infinity]", "is not JSON"),
        (b"[1e999]", "is not JSON"),
        (b"[01]", "is not JSON"),
        (b'"\x01"', "is not JSON"),
        (b"{}\x00", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ("{}".encode("utf-16"), "is not UTF-8"),
        ("{}".encode("utf-16-le"), "is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        (b'"\\ud800"', "holds half of a surrogate pair"),
        (b'{"\\uDFFF":1}', "holds half of a surrogate pair"),
        (b"[" * 100_000, "is nested too deep"),
    ],
)
def test_what_is_not_json_is_refused_with_its_reason(codec, line, reason):
    """Both readers refuse the same lines, for reasons that hold nothing of the text."""
    with pytest.raises(InvalidJson) as caught:
        codec.loads(line)

    assert str(caught.value) == reason
    assert caught.value.__cause__ is None


@both
@pytest.mark.parametrize(
    ("line", "value"),
    [(b' {"a" : 1 }\t\r', {"a": 1}), (b'"\\ud83d\\ude00"', "😀"), (b'"\\\\ud800"', "\\ud800"), (b"[1E5]", [1e5])],
)
def test_what_is_json_is_read(codec, line, value):
    """Spaces and a CR around a value are allowed, and so is an escaped backslash before ``ud800``."""
    assert codec.loads(line) == value


@both
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(codec, line):
    """No other error than `InvalidJson` is raised."""
    try:
        codec.loads(line)
        reason = None
    except InvalidJson as error:
        reason = str(error)

    assert reason in {None, "is not JSON", "is not UTF-8", "holds half of a surrogate pair", "is nested too deep"}


@needs_orjson
@given(st.one_of(st.binary(max_size=40), json_values.map(lambda value: json.dumps(value).encode())))
def test_both_read_the_same(line):
    """Both read a line as the same value, or refuse it; an exact read is exact in both."""

    def read(codec):
        try:
            return json.dumps(codec.loads(line))
        except InvalidJson as error:
            return str(error)

    assert read(FAST) == read(STANDARD)


@both
@given(json_values)
def test_an_exact_read_changes_no_number(codec, value):
    """Every integer is read as the same integer, of any size."""
    assert json.dumps(codec.loads(codec.dumps(value))) == json.dumps(value)


@given(json_values)
def test_a_fast_parse_is_made_exact(value):
    """If orjson read an integer as a float, the line is read again."""
    line = STANDARD.dumps([value])

    assert json.dumps(exactly(JSON.parse(line), line)) == json.dumps([value])


@pytest.mark.parametrize("digits", [19, 20, 21, 100, 308])
@both
def test_an_integer_of_any_size_that_can_be_written_is_read(codec, digits):
    """Also if the process has a lower limit on digits."""
    number = int("9" * digits)

    assert codec.loads(codec.dumps({"n": number})) == {"n": number}


@both
def test_a_larger_integer_is_refused_by_both(codec):
    """Orjson would read it as an infinite float."""
    with pytest.raises(InvalidJson, match="is not JSON"):
        codec.loads(b"[" + b"9" * 310 + b"]")


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1}',
        b'{ "a" : [1.0, 1e5] }',
        b'{"a":"\\u00e9"}',
        b'{"a":12345678901234567890123}',
        b'{"a":{"b":1},"b":{"b":1}}',
    ],
)
def test_bytes_that_can_be_written_again_are_kept(line):
    """Spaces, escapes and large integers remain."""
    assert settled(line, JSON.parse(line)) is line


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b'{"a":1,"a":2}', b'{"a":2}'),
        (b'{"a":[{"b":1,"c":3,"b":12345678901234567890123}]}', b'{"a":[{"b":12345678901234567890123,"c":3}]}'),
    ],
)
def test_of_a_key_that_is_there_twice_the_last_is_kept(line, kept):
    """Real readers refuse a line with a repeated key."""
    assert settled(line, JSON.parse(line)) == kept


def test_orjson_is_used_where_it_is_installed():
    """The choice is made once, at import."""
    assert JSON is (STANDARD if own_json.orjson is None else FAST)


# --- values that callers make up --------------------------------------------------------------------------------------


@given(json_values)
def test_plain_copies_what_is_plain(value):
    """The copy is equal and shares nothing mutable with the original."""
    copied = plain(value, "x")

    assert json.dumps(copied) == json.dumps(value)
    assert copied is not value or not isinstance(value, (dict, list))


@attrs.frozen
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("nan"), "x.a[1]"),
        (float("-inf"), "x.a[1]"),
        (dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "x.a[1]"),
        (uuid.UUID(int=0), "x.a[1]"),
        (Colour.RED, "x.a[1]"),
        (Point(1), "x.a[1]"),
        (b"x", "x.a[1]"),
        ({1}, "x.a[1]"),
        ({1: 2}, "x.a[1]"),
        ({None: 2}, "x.a[1]"),
        ({Colour.RED: 2}, "x.a[1]"),
        ({"b": {"c": object()}}, "x.a[1].b.c"),
        ({"the secret word": {"c": object()}}, "x.a[1][...].c"),
    ],
)
def test_values_that_would_change_silently_are_refused_with_their_place(value, place):
    """Orjson would silently write each of these as something else, or under another key."""
    with pytest.raises(InvalidItemError) as caught:
        plain({"a": [0, value]}, "x")

    assert caught.value.where == place


class Text(str):
    __slots__ = ()


class Number(int):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        ({Text("a"): Text("b")}, {"a": "b"}),
        (Number(3), 3),
        (True, True),
    ],
)
def test_what_is_json_by_another_class_becomes_plain(value, expected):
    """Tuples, mappings and subclasses hold values that JSON has."""
    made = plain(value, "x")

    assert made == expected
    assert type(made) is type(expected)


def test_nesting_is_allowed_as_deep_as_real_readers_go():
    """Real readers read a line that is nested 127 deep, and skip one of 128."""
    plain(nested(MAX_DEPTH), "x")

    with pytest.raises(InvalidItemError, match="nested more than 127 deep"):
        plain(nested(MAX_DEPTH + 1), "x")


def test_a_value_that_holds_itself_is_refused():
    """It is nested without end."""
    value = []
    value.append(value)

    with pytest.raises(InvalidItemError, match="nested more than"):
        plain(value, "x")


def shared(levels):
    """Return a value of two lists that are one, each of two lists that are one, and so on."""
    value = [1]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"x": (value,)}], ids=["lists", "a tuple"])
def test_a_value_that_unfolds_without_end_is_refused(wrap):
    """It is small in memory, but its JSON would have 2 to the power of 100 parts. A test that hangs fails."""
    with pytest.raises(InvalidItemError, match="parts of it are in it many times"):
        snapshot({"x": wrap(shared(100))}, "x")


@pytest.mark.parametrize("extra", [0, (1,)], ids=["plain", "a tuple"])
def test_a_value_that_is_there_several_times_is_written_as_often(extra):
    """As any JSON library writes it."""
    data, value = snapshot({"x": shared(3), "y": extra}, "x")

    assert json.loads(data)["x"] == value["x"] == [[[[1], [1]], [[1], [1]]], [[[1], [1]], [[1], [1]]]]


def test_a_shared_value_is_not_nested_deeper_than_real_readers_go():
    """At its second place it is deeper than at its first."""
    part = nested(100)

    with pytest.raises(InvalidItemError, match="nested more than 127 deep"):
        plain([part, (nested_around(part, 40),)], "x")
    assert plain([part, (nested_around(part, 20),)], "x")


def nested_around(value, levels):
    """Return *value* inside so many lists."""
    for _ in range(levels):
        value = [value]
    return value


def test_containers_that_a_mapping_makes_at_each_look_are_told_apart():
    """One ends as soon as it was copied, and the next may be in its place."""

    class Making(Mapping):
        def __getitem__(self, key):
            return [key]

        def __iter__(self):
            return iter("abcdefgh")

        def __len__(self):
            return 8

    assert plain(Making(), "x") == {key: [key] for key in "abcdefgh"}


def test_reading_stops_at_the_same_depth():
    """A value that could not be written again is not read."""
    check_depth([nested(MAX_DEPTH)])

    with pytest.raises(InvalidJson, match="nested too deep"):
        check_depth([nested(MAX_DEPTH + 1)])


@given(json_values)
def test_a_snapshot_is_the_value_as_it_is_now(value):
    """The bytes hold all of it, whichever code made them."""
    data, _ = snapshot({"a": value}, "x")

    assert json.dumps(JSON.loads(data)) == json.dumps({"a": value})


@pytest.mark.parametrize("value", [float("nan"), uuid.UUID(int=0), Colour.RED, {1: 2}, nested(MAX_DEPTH), 2**1023])
def test_a_snapshot_refuses_values_that_would_change_silently(value):
    """Also values that orjson alone would write."""
    with pytest.raises(InvalidItemError):
        snapshot({"a": [value]}, "x")


# --- log extras -------------------------------------------------------------------------------------------------------


class Rude:
    def __str__(self):
        raise RuntimeError("xyzzy")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, "b", None, 2.5]}, {"a": [1, "b", None, 2.5]}),
        (float("nan"), "nan"),
        (dt.date(2025, 7, 23), "2025-07-23"),
        (Colour.RED, "red"),
        ({1: (2, b"x")}, {"1": [2, "b'x'"]}),
        ([Rude()], ["<Rude, whose str() raised RuntimeError>"]),
        ({Rude(): 1}, {"<Rude, whose str() raised RuntimeError>": 1}),
    ],
)
def test_what_is_not_plain_becomes_a_string(value, expected):
    """A log entry accepts any value."""
    assert stringified(value) == expected


class Broken(Mapping):
    """A mapping that raises when it is read."""

    def __getitem__(self, key):
        raise RuntimeError("xyzzy")

    def __iter__(self):
        return iter("ab")

    def __len__(self):
        return 2


class Strange:
    """An object that does not even tell its class."""

    @property
    def __class__(self):
        raise RuntimeError("xyzzy")


def test_a_log_extra_that_cannot_be_read_is_named():
    """It costs neither the entry nor what is beside it."""
    made = stringified({"broken": [Broken()], "strange": Strange(), "fine": 1})

    assert made == {
        "broken": ["<Broken, which raised RuntimeError>"],
        "strange": "<Strange, which raised RuntimeError>",
        "fine": 1,
    }


def test_a_log_extra_may_change_during_the_walk():
    """As a dict does that another thread changes; here a value does it when it becomes a string."""
    changing: dict = {}
    growing: list = []

    class Changer:
        def __str__(self):
            changing[f"key {len(changing)}"] = 1
            growing.append(1)
            return "changer"

    changing.update(a=Changer(), b=Changer())
    growing.append(Changer())

    assert stringified(changing) == {"a": "changer", "b": "changer"}
    assert stringified(Counter(changing))["b"] == "changer"
    assert stringified(growing)[0] == "changer"


def test_a_log_extra_that_holds_itself_ends_there():
    """In place of the inner reference is a string that says so."""
    value = {}
    value["self"] = value

    made = stringified(value)

    assert made == {"self": "<dict, which holds itself>"}
    assert plain(made, "x") == made


def test_a_log_extra_whose_parts_hold_each_other_takes_no_longer_than_its_size():
    """A tree whose children refer to their parent has infinitely many paths."""
    parent: dict = {}
    parent["left"], parent["right"] = {"parent": parent}, {"parent": parent}

    made = stringified(parent)

    assert made == {side: {"parent": "<dict, which holds itself>"} for side in ("left", "right")}


def test_a_log_extra_that_unfolds_without_end_is_cut():
    """Forty lists that each hold the next one twice would be 2**40 values."""
    value: list = []
    for _ in range(40):
        value = [value, value]

    assert "left out" in json.dumps(stringified(value))
