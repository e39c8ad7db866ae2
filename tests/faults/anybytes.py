"""Any bytes: whatever a file holds, reading it does not crash, and each line costs itself alone and is reported."""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rolloutlog import iter_entries, load_session
from rolloutlog.exceptions import InvalidRolloutError

from .harness import Report, Skip, python_path, row, scratch

_META = {"id": "00000000-0000-0000-0000-000000000007", "timestamp": "2025-06-15T15:06:40.000Z", "instructions": None}

# Every kind of line, and text that is hard: the text in the file must come back.
_LINES: tuple[dict[str, Any], ...] = (
    {
        "type": "message",
        "id": None,
        "role": "user",
        "content": [{"type": "input_text", "text": "é\u2028\u0085 \U0001f600"}],
    },
    {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": '"\\\n\t\x01'}]},
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": None},
    {"type": "function_call", "id": None, "name": "f", "arguments": '{"a":1}', "call_id": "c"},
    {"type": "function_call_output", "call_id": "c", "output": "done"},
    {"record_type": "state", "n": 2**70, "f": 1e-7},
    {"type": "log", "timestamp": "2025-06-15T15:06:40.000Z", "level": "INFO", "logger": "a", "message": "m"},
    {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": ["x", [1.5, True, None]]}},
)
_ITEMS = {"message", "reasoning", "function_call", "function_call_output", "web_search_call"}


def golden() -> bytes:
    """Return a file that holds every kind of line."""
    made = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in (_META, *_LINES)]
    return "".join(f"{each}\n" for each in made).encode()


def _plain(each: bytes) -> Any:
    """Return what the line *each* holds as plain JSON, or `None`; half of a surrogate pair is not text."""
    try:
        value = json.loads(each.decode(), object_pairs_hook=_pairs)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of *pairs*; if a key comes twice, the value that the object does not have must be text, too."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


def _read(report: Report, path: Path, content: bytes, where: str) -> None:
    """Read *content* in both ways; nothing but `InvalidRolloutError` may be raised, and every line is accounted for."""
    path.write_bytes(content)
    report.trial()
    lines = content.split(b"\n")
    written = [each for each in lines if each.strip(b" \t\r")]
    try:
        entries = list(iter_entries(path))
    except Exception as error:
        report.expect(False, f"{where}: iter_entries raised {error!r}")
        return
    report.expect(len(entries) == len(written), f"{where}: {len(written)} lines, {len(entries)} entries")
    try:
        saved = load_session(path)
    except InvalidRolloutError:
        first = _plain(lines[0])
        intact = (
            isinstance(first, dict) and first.items() >= {"id": _META["id"], "timestamp": _META["timestamp"]}.items()
        )
        report.expect(not intact or "type" in first, f"{where}: the meta is whole, and the file is refused")
        return
    except Exception as error:
        report.expect(False, f"{where}: load_session raised {error!r}")
        return
    kept = len(saved.items) + len(saved.logs) + len(saved.others) + len(saved.skipped)
    states = sum(isinstance(value := _plain(each), dict) and value.get("record_type") == "state" for each in written)
    report.expect(
        kept + states + 1 >= len(written), f"{where}: {len(written)} lines, and {kept + states + 1} are told of"
    )
    whole = [line for line in golden().split(b"\n")[1:-1] if line in lines[1:]]
    items = sum(json.loads(line).get("type") in _ITEMS for line in whole)
    report.expect(len(saved.items) >= items, f"{where}: {items} lines are untouched, {len(saved.items)} items read")


@row("anybytes.cut", "a file cut at any byte, with any tail, reads", quick=500, full=10**5, long=10**5)
def cut(report: Report, size: int, dice: random.Random) -> None:
    """Every length of the golden file, with three tails."""
    content = golden()
    trials = [(length, tail) for length in range(len(content)) for tail in (b"", bytes(64), b"\xff\xfe\n{}\n")]
    with scratch("/dev/shm") as folder:
        for length, tail in trials if size >= len(trials) else dice.sample(trials, size):
            _read(report, folder / "rollout.jsonl", content[:length] + tail, f"cut at {length}, then {tail[:3]!r}")


@row("anybytes.flip", "every bit flipped: costs two lines at most", quick=1_000, full=10**5, long=10**5)
def flip(report: Report, size: int, dice: random.Random) -> None:
    """Each single bit of the golden file is flipped."""
    content = golden()
    trials = range(len(content) * 8)
    with scratch("/dev/shm") as folder:
        for bit in trials if size >= len(trials) else dice.sample(trials, size):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            _read(report, folder / "rollout.jsonl", bytes(flipped), f"bit {bit}")


def mutated(dice: random.Random) -> bytes:
    """Return the golden file, mistreated."""
    content = bytearray(golden())
    for _ in range(dice.randrange(1, 6)):
        at, length = dice.randrange(len(content)), dice.randrange(40)
        match dice.randrange(6):
            case 0:
                del content[at : at + length]
            case 1:
                content[at:at] = dice.randbytes(length)
            case 2:
                content[at:at] = content[at : at + length]
            case 3:
                content[at:at] = dice.choice(_NASTY)
            case 4:
                content[at : at + length] = bytes(length)
            case _:
                content[at : at + 1] = dice.choice([b"\n", b'"', b"{", b"[", b"\\", b"\r"])
    return bytes(content)


_NASTY = (
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"-0",
    b"[" * 2_000,
    b'{"a":' * 300,
    b"9" * 5_000,
    b"\xed\xa0\x80",
    b"\x00\x00",
    b"\xff\xfe{\x00}\x00",
    b"null",
    b"true",
    b"\xe2\x80\xa8",
    b"\x85",
    b"\x1c",
    b"\r\r",
    b'"type":"message",',
)


@row("anybytes.random", "mistreated files read, line by line", quick=1_000, full=50_000, long=1_000_000)
def mistreated(report: Report, size: int, dice: random.Random) -> None:
    """Bytes cut out, doubled, nulled, and nasty ones put in."""
    with scratch("/dev/shm") as folder:
        for trial in range(size):
            _read(report, folder / "rollout.jsonl", mutated(dice), f"trial {trial}")


@row("anybytes.fuzzer", "a coverage-guided fuzzer finds no crash", quick=2_000, full=100_000, long=1_000_000)
def fuzzer(report: Report, size: int, dice: random.Random) -> None:
    """Atheris, on the decoder of lines and on the reader of files."""
    if importlib.util.find_spec("atheris") is None:
        raise Skip("atheris is not installed: pip install --group fuzz")
    with scratch("/dev/shm") as folder:
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, each in enumerate(golden().splitlines()):
            (corpus / str(number)).write_bytes(each)
        command = [
            sys.executable,
            "-c",
            _FUZZ,
            str(corpus),
            f"-runs={size}",
            f"-artifact_prefix={folder}/",
            "-max_len=4096",
        ]
        done = subprocess.run(command, env=python_path(), capture_output=True, text=True, cwd=folder, check=False)
        report.expect(done.returncode == 0, f"the fuzzer found: {done.stderr[-2_000:]}")
        report.trial(size)


_FUZZ = """
import sys, atheris
with atheris.instrument_imports(include=["rolloutlog"]):
    import rolloutlog
    from rolloutlog._format.lines import InvalidLine, decode_line
def one(data):
    try:
        decode_line(data)
    except InvalidLine:
        pass
    with open("rollout.jsonl", "wb") as file:
        file.write(data)
    list(rolloutlog.iter_entries("rollout.jsonl"))
    try:
        rolloutlog.load_session("rollout.jsonl").to_input()
    except rolloutlog.exceptions.InvalidRolloutError:
        pass
atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


def _bombs() -> Iterator[tuple[str, bytes]]:
    """Yield what would blow up a reader that is not careful, by name: whole lines."""
    yield "a million arrays", b"[" * 1_000_000 + b"\n"
    yield "a million objects", b'{"a":' * 1_000_000 + b"\n"
    yield "ten million digits", b'{"type":"odd","n":' + b"9" * 10_000_000 + b"}\n"
    yield "200,000 keys", b'{"type":"odd",' + b",".join(b'"%d":0' % n for n in range(200_000)) + b"}\n"
    yield "300,000 blank lines", b"\n" * 300_000
    yield "NULs", bytes(10_000_000) + b"\n"
    yield "UTF-16", '{"type":"message"}\n'.encode("utf-16") + b"\n"
    yield "a BOM", b"\xef\xbb\xbf{}\n"


@row("anybytes.bombs", "bombs of depth, digits, keys, NULs cost their line alone", quick=8, full=8, long=8)
def bombs(report: Report, size: int, dice: random.Random) -> None:
    """Each between two lines that must be read."""
    first, last = golden().splitlines(keepends=True)[:2]
    with scratch("/dev/shm") as folder:
        for name, bomb in _bombs():
            path = folder / "rollout.jsonl"
            path.write_bytes(first + last + bomb + last)
            items = [item for item in load_session(path).items if getattr(item, "type", "") == "message"]
            report.expect(len(items) == 2, f"{name}: {len(items)} of 2 messages read")
            report.trial()


_BOMBED = """
import re, sys
import rolloutlog
def peak():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
before = peak()
entries = sum(1 for _ in rolloutlog.iter_entries(sys.argv[1]))
items = len(rolloutlog.load_session(sys.argv[1]).items)
print(entries, items, peak(), before)
"""


_LETTERS = b'{"type":"message","text":"' + b"x" * (1 << 20)
# In kilobytes, of the whole process: interpreter, package and all.
_BOMBED_MOST = 64_000_000 // 1024


@row("anybytes.line_bomb", "a line of so many MiB is skipped in 64 MB of memory", quick=256, full=2_048, long=2_048)
def line_bomb(report: Report, size: int, dice: random.Random) -> None:
    """A line too long to be held, of NULs or of letters, read in a process of its own that tells its peak memory."""
    first, last = golden().splitlines(keepends=True)[:2]
    with scratch() as folder:
        for name in ("NULs", "letters"):
            path = folder / "rollout.jsonl"
            with path.open("wb") as file:
                file.write(first + last)
                if name == "NULs":
                    file.seek(size << 20, 1)  # sparse: takes no room on disk
                else:
                    file.writelines(itertools.repeat(_LETTERS, size))
                file.write(b"\n" + last)
            command = [sys.executable, "-c", _BOMBED, str(path)]
            done = subprocess.run(command, env=python_path(), capture_output=True, text=True, check=False)
            report.trial()
            report.expect(done.returncode == 0, f"{name}: {done.stderr[-2_000:]}")
            if done.returncode:
                continue
            entries, items, peak, before = map(int, done.stdout.split())
            report.expect((entries, items) == (4, 2), f"{name}: {entries} entries, {items} items")
            report.most("MB at the peak", peak * 1024 // 10**6)
            report.most("MB before", before * 1024 // 10**6)
            report.expect(peak < _BOMBED_MOST, f"{name}: {peak:,} kB at the peak, {before:,} kB before")
