"""Makes a home of many sessions whose calls, tokens and texts are known: what the tables must give, exactly.

The lines have the shapes that three generations of Codex wrote: flat ones, wrapped ones as of 0.60, and as of 0.169
with numbers and usage records. Among the sessions are forks and sub-agents that hold copies, forks that refer to
another file, sessions of which turns were taken back, compactions, compressed files, torn and damaged lines, and files
that hold no session. The same seed makes the same home.

    python -m tests.fleet_corpus HOME --sessions 20000
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from rolloutlog._json import dumps, loads

Line = dict[str, Any]
Style = Literal["flat", "0.60", "0.169"]

NEEDLE = "heliotrope-7261"
"""The text that one session in twenty says."""

TRUTH = "truth.json"
_FIRST_DAY = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)
_DAYS = 300
_MODELS = ("gpt-5-codex", "gpt-5.1-codex-max", "gpt-6.1-sol")
_TOOLS = ("shell", "apply_patch", "update_plan", "view_image", "web_fetch")
_TEXT = (
    "the tide table skips a high water so check its harmonic constants before you build the chart again and print "
    "all paths under src/tides/model.py with a 'quoted' value, a tab\t and a \\ in it: "
    'def harmonic(constants: list[float]) -> float: return sum(constants) # "error": expected 2, got 3\n'
)
_WORDS = _TEXT.split(" ")
_FOREIGN = [*_WORDS, "naïve", "日本語", "U+2028 \u2028", "🏔️"]  # in one text of eight


@dataclass
class Truth:
    """The sums over the sessions of a home, each line counted where it was said first.

    Attributes:
        calls: by tool: how many calls, how many outputs that say that they failed.
        tokens: by day and model: input, cached, output and reasoning tokens, and how many requests.
        found: the ids of the sessions that say `NEEDLE`.
        sessions: how many sessions there are.
        files: how many files, with those that hold no session.
        kinds: how many of each peculiarity.
        size: bytes before compression.
    """

    calls: dict[str, list[int]] = field(default_factory=dict)
    tokens: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    sessions: int = 0
    files: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        self.found.sort()
        path.write_text(json.dumps(self.__dict__), encoding="utf-8")


class Writer:
    """Writes one session, and counts what it says into *truth*."""

    def __init__(self, rng: random.Random, style: Style, began: dt.datetime, truth: Truth, mean: int) -> None:
        self.id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self.style = style
        self.began = self.now = began
        self.lines: list[bytes] = []
        self.totals = [0, 0, 0, 0]
        self.model = rng.choice(_MODELS)
        self.revision: str | None = None
        self.first_number = 0
        self._rng = rng
        self._truth = truth
        self._mean = mean
        self._calls = 0
        self._base: Line = {}

    # -- lines --------------------------------------------------------------------------------------------------------

    def _stamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds")[:-6] + "Z"

    def add(self, kind: str, payload: Line) -> None:
        """Append a line; in the flat format only an item or the meta can be one."""
        self.now += dt.timedelta(milliseconds=self._rng.randint(1, 400))
        if self.style == "flat":
            if kind in ("response_item", "session_meta"):
                self.lines.append(dumps(payload))
            return
        line: Line = {"timestamp": self._stamp()}
        if self.style == "0.169":
            line["ordinal"] = self.first_number + len(self.lines)
        self.lines.append(dumps({**line, "type": kind, "payload": payload}))

    def meta(self, **extra: Any) -> None:
        """Append the session's meta."""
        payload: Line = {"id": self.id, "timestamp": self._stamp(), "instructions": None}
        if self.style != "flat":
            payload |= {"cwd": "/home/ana/tides", "originator": "codex_exec", "cli_version": f"{self.style}.0"}
            payload |= {"source": "exec", "model_provider": "openai", "git": {"branch": "main"}, **extra}
        if self.style == "0.169":
            payload |= {"history_mode": "paginated", "base_instructions": {"text": self._text(4 * self._mean)}}
        self.add("session_meta", payload)
        if self.style == "0.169" and "forked_from_id" not in extra and "parent_thread_id" not in extra:
            tools = [{"type": "function", "name": name, "description": self._text(self._mean)} for name in _TOOLS]
            self.add("response_item", self._item("additional_tools", "at", role="developer", tools=tools))
            self.message("developer", self._text(4 * self._mean))

    def text(self, size: int) -> str:
        """Return words, about *size* characters."""
        return self._text(size)

    def _text(self, size: int) -> str:
        words = _FOREIGN if self._rng.random() < 0.125 else _WORDS
        return " ".join(self._rng.choices(words, k=max(1, size // 6)))

    def message(self, role: str, text: str) -> None:
        """Append a message, and its event."""
        part = "output_text" if role == "assistant" else "input_text"
        content = [{"type": part, "text": text}]
        self.add("response_item", self._item("message", "msg", role=role, content=content))
        if role in ("user", "assistant"):
            event = "user_message" if role == "user" else "agent_message"
            self.add("event_msg", {"type": event, "message": text})

    def _item(self, kind: str, prefix: str, **keys: Any) -> Line:
        if self.style == "0.60":  # which has no ids
            return {"type": kind, **keys}
        return {"type": kind, "id": f"{prefix}_{self._rng.getrandbits(64):016x}", **keys}

    # -- turns --------------------------------------------------------------------------------------------------------

    def turn(self, needle: bool = False) -> None:
        """Append a turn: a question, some requests with calls, and an answer."""
        rng = self._rng
        turn_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self.now += dt.timedelta(seconds=rng.randint(3, 4000))
        context: Line = {"cwd": "/home/ana/tides", "approval_policy": "never", "model": self.model, "summary": "auto"}
        if self.style == "0.169":
            self.add("event_msg", {"type": "task_started", "turn_id": turn_id, "model_context_window": 258400})
            context = {"turn_id": turn_id, **context}
        self.add("turn_context", context)
        question = self._text(rng.randint(20, 400))
        self.message("user", f"{question} {NEEDLE}" if needle else question)
        if needle and self.id not in self._truth.found:
            self._truth.found.append(self.id)
        if self.style == "flat":
            self.lines.append(dumps({"record_type": "state", "step": len(self.lines)}))
        for _ in range(rng.randint(1, 4)):
            summary = [{"type": "summary_text", "text": self._text(150)}]
            reasoning = self._item("reasoning", "rs", summary=summary)
            self.add("response_item", {**reasoning, "encrypted_content": "c2Vh" * 40})
            self.call()
            self.request()
        self.message("assistant", self._text(rng.randint(100, 2500)))
        self.request()
        if self.style == "0.169":
            self.add("event_msg", {"type": "task_complete", "turn_id": turn_id, "last_agent_message": "done"})

    def call(self) -> None:
        """Append a call and, nearly always, its output."""
        rng = self._rng
        self._calls += 1
        name, call_id = rng.choice(_TOOLS), f"call_{self._calls}_{self.id[:8]}"
        counted = self._truth.calls.setdefault(name, [0, 0])
        counted[0] += 1
        command = self._text(60)
        if name == "apply_patch" and self.style != "flat":
            keys = {"status": "completed", "call_id": call_id, "name": name, "input": f"*** Begin Patch\n{command}"}
            self.add("response_item", self._item("custom_tool_call", "ctc", **keys))
        else:
            keys = {"name": name, "arguments": json.dumps({"command": command}), "call_id": call_id}
            self.add("response_item", self._item("function_call", "fc", **keys))
        if rng.random() < 0.02:
            return  # it was killed before
        says = self._text(int(rng.expovariate(1 / self._mean)))
        odd = rng.random()
        if odd < 0.02:
            output: Any = f"unsupported call: {name}" if odd < 0.01 else "aborted"
            counted[1] += 1
        else:
            code = rng.choice((0, 0, 0, 0, 0, 1, 2, 127))
            counted[1] += code != 0
            output = self._output(says, code)
        kind = "custom_tool_call_output" if name == "apply_patch" and self.style != "flat" else "function_call_output"
        self.add("response_item", {"type": kind, "call_id": call_id, "output": output})

    def _output(self, says: str, code: int) -> Any:
        """Return an output as the session's generation wrapped it."""
        if self.style == "flat":
            return dumps({"output": says, "metadata": {"exit_code": code, "duration_seconds": 0.1}}).decode()
        if self.style == "0.60":
            return f"Exit code: {code}\nWall time: 0.1 seconds\nOutput:\n{says}"
        if self._rng.random() < 0.5:
            head = f"Chunk ID: 9badd8\nWall time: 0.0100 seconds\nProcess exited with code {code}"
            return f"{head}\nOriginal token count: {len(says) // 4}\nOutput:\n{says}"
        result = {"chunk_id": "9a5df7", "wall_time_seconds": 0.01, "exit_code": code, "output": says}
        texts = ("Script completed\nWall time 0.1 seconds\nOutput:\n", dumps(result).decode())
        return [{"type": "input_text", "text": text} for text in texts]

    def request(self) -> None:
        """Append what a request to the model cost, as the session's generation says it."""
        if self.style == "flat":
            return
        rng = self._rng
        used = [rng.randint(1000, 90_000), rng.randint(0, 900), rng.randint(10, 3000), rng.randint(0, 9)]
        self.totals = [total + new for total, new in zip(self.totals, used, strict=True)]
        info = {"total_token_usage": _usage(self.totals), "last_token_usage": _usage(used)}
        if self.style == "0.169":
            record: Line = {"thread_id": self.id, "response_id": f"resp_{rng.getrandbits(32):08x}"}
            record |= {"usage": _usage(used), "thread_token_usage": _usage(self.totals)}
            self.add("token_usage_record", record)
        self.add("event_msg", {"type": "token_count", "info": info, "rate_limits": None})
        counted_at = json.loads(self.lines[-2 if self.style == "0.169" else -1])["timestamp"][:10]
        counted = self._truth.tokens.setdefault(counted_at, {}).setdefault(self.model, [0] * 5)
        for index, tokens in enumerate([*used, 1]):
            counted[index] += tokens
        if rng.random() < 0.3:  # the same again, with new limits
            limits = {"primary": {"used_percent": 1}}
            self.add("event_msg", {"type": "token_count", "info": info, "rate_limits": limits})

    def compaction(self) -> None:
        """Append a line that replaces the items before it."""
        kept = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": self._text(200)}]}]
        self.add("compacted", {"message": self._text(600), "replacement_history": kept})

    # -- other sessions' lines ----------------------------------------------------------------------------------------

    def copied(self, parent: Writer, lines: list[bytes]) -> None:
        """Append *lines* of *parent*, written at once with the time of now."""
        now = self.now
        for data in lines:
            value = loads(data)
            value["timestamp"] = self._stamp()
            if "ordinal" in value:
                value["ordinal"] = len(self.lines)
            self.lines.append(dumps(value))
        self.now = now + dt.timedelta(seconds=3)
        self.totals = parent.totals[:]
        self.model = parent.model

    def path(self, home: Path) -> Path:
        """Return where the session belongs in *home*."""
        name = f"rollout-{self.began:%Y-%m-%dT%H-%M-%S}-{self.id}"
        name += f"_{self.revision}" if self.revision else ""
        return home / "sessions" / f"{self.began:%Y}" / f"{self.began:%m}" / f"{self.began:%d}" / f"{name}.jsonl"


def _usage(counts: list[int]) -> Line:
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
    return {**dict(zip(names, counts, strict=True)), "total_tokens": counts[0] + counts[2]}


# --- a home -----------------------------------------------------------------------------------------------------------


def build(home: Path, sessions: int, *, seed: int = 1, mean: int = 1500, compressed: bool = True) -> Truth:
    """Fill *home* with *sessions* and some files that hold none; return what they add up to.

    Args:
        home: the folder, which need not exist.
        sessions: how many sessions.
        seed: the same seed makes the same files.
        mean: the mean length of an output, in characters.
        compressed: whether some files are compressed, which needs the extra "zstd".
    """
    rng = random.Random(seed)
    truth = Truth()
    compress = _compressor() if compressed else None
    older: list[tuple[Writer, Path]] = []  # wrapped sessions that others may continue from
    for number in range(sessions):
        began = _FIRST_DAY + dt.timedelta(days=number * _DAYS // sessions, seconds=rng.randint(0, 80_000))
        writer, what = _session(rng, began, truth, mean, older)
        truth.sessions += what != "revision"
        _note(truth, what)
        path = writer.path(home)
        is_base = _write(path, writer, rng, truth, compress)
        if is_base and writer.style != "flat":
            older.append((writer, path))
            del older[:-12]
    for number in range(max(1, sessions // 200)):
        _no_session(home, rng, number, truth)
    truth.save(home / TRUTH)
    return truth


def _session(
    rng: random.Random, began: dt.datetime, truth: Truth, mean: int, older: list[tuple[Writer, Path]]
) -> tuple[Writer, str]:
    style: Style = rng.choices(("flat", "0.60", "0.169"), (30, 35, 35))[0]
    writer = Writer(rng, style, began, truth, mean)
    parents = [(parent, path) for parent, path in older if parent.style == style]
    what, chance = "plain", rng.random()
    if parents and chance < 0.14:
        parent, path = rng.choice(parents)
        writer.began = writer.now = max(began, parent.now + dt.timedelta(seconds=1))
        what = _continued(writer, parent, path, chance)
    else:
        writer.meta()
        if style == "flat" and rng.random() < 0.3:
            stamp = writer.began.isoformat(timespec="milliseconds")[:-6] + "Z"
            log = {"type": "log", "timestamp": stamp, "level": "INFO", "logger": "tides", "message": "began"}
            writer.lines.append(dumps(log))
    needle = rng.random() < 0.05
    turns = rng.randint(1, 8)
    for turn in range(turns):
        writer.turn(needle and turn == turns // 2)
        if style != "flat" and rng.random() < 0.02:
            writer.compaction()
            _note(truth, "compaction")
    return writer, what


def _continued(writer: Writer, parent: Writer, path: Path, chance: float) -> str:
    """Begin *writer* with the history of *parent*, in one of the ways of its generation; return which."""
    if parent.style == "0.60":
        writer.meta(forked_from_id=parent.id)
        writer.copied(parent, parent.lines)
        return "copied fork"
    if chance < 0.05:
        writer.meta(forked_from_id=parent.id)
        writer.copied(parent, parent.lines)
        writer.add("event_msg", {"type": "thread_settings_applied", "thread_id": writer.id, "thread_settings": {}})
        return "copied fork"
    if chance < 0.08:
        kept = [line for line in parent.lines if b'"token_' not in line]
        spawn = {"parent_thread_id": parent.id, "depth": 1, "agent_path": "/root/heir"}
        source = {"subagent": {"thread_spawn": spawn}}
        keys: Line = {"parent_thread_id": parent.id, "source": source, "agent_path": "/root/heir"}
        writer.meta(**keys, subagent_history_start_ordinal=len(kept) + 1)
        writer.copied(parent, kept)
        return "sub-agent"
    base = {"thread_id": parent.revision or parent.id, "end_byte_offset": sum(len(line) + 1 for line in parent.lines)}
    writer.first_number = base["end_ordinal_exclusive"] = parent.first_number + len(parent.lines)
    writer.totals, writer.model = parent.totals[:], parent.model
    if chance < 0.09:
        writer.revision, writer.id = writer.id, parent.id
        writer.meta(history_base=base)
        return "revision"
    writer.meta(forked_from_id=parent.id, history_base=base)
    return "fork by reference"


def _write(
    path: Path, writer: Writer, rng: random.Random, truth: Truth, compress: Callable[[bytes], bytes] | None
) -> bool:
    """Write the lines of *writer*, perhaps damaged; return whether others may continue from the file."""
    lines, is_base = writer.lines, True
    chance = rng.random()
    if chance < 0.007:
        lines = _dirty(lines, rng)
        is_base = False
        _note(truth, "dirty")
    data = b"\n".join(lines) + b"\n"
    if 0.01 < chance < 0.03:
        data += b'{"type":"message","role":"user","content":[{"type":"input_text","text":"' + NEEDLE.encode()
        is_base = False
        _note(truth, "torn")
    truth.size += len(data)
    truth.files += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    if compress is not None and 0.1 < chance < 0.17:
        path, data, is_base = path.with_name(path.name + ".zst"), compress(data), False
        _note(truth, "compressed")
    path.write_bytes(data)
    return is_base


def _dirty(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """Return *lines* with others between them that are none, but not before the second."""
    made = list(lines)
    odd = (b"\xff\xfe", b"", b"{", b'{"type":"message"}', b"[1]", b'{"x":NaN}', b'{"type":"message","text":"\\ud800"}')
    for line in (*odd, b'{"a":' * 200):
        made.insert(rng.randint(len(lines) // 2, len(made)), line)
    return made


def _no_session(home: Path, rng: random.Random, number: int, truth: Truth) -> None:
    """Write a file that is named like a session and holds none."""
    began = _FIRST_DAY + dt.timedelta(days=rng.randint(0, _DAYS - 1))
    path = Writer(rng, "flat", began, truth, 10).path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    item = dumps({"type": "message", "role": "user", "content": [{"type": "input_text", "text": NEEDLE}]})
    path.write_bytes((b"", b"oops\n" + item + b"\n", item + b"\n", b"\0" * 100)[number % 4])
    truth.files += 1
    _note(truth, "no session")


def _note(truth: Truth, what: str) -> None:
    truth.kinds[what] = truth.kinds.get(what, 0) + 1


def _compressor() -> Callable[[bytes], bytes] | None:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name).compress  # type: ignore[no-any-return]
        except ImportError:
            continue
    return None


def main() -> None:
    """Make a home as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mean", type=int, default=5000, help="mean length of an output, in characters")
    options = parser.parse_args()
    truth = build(options.home, options.sessions, seed=options.seed, mean=options.mean)
    sys.stdout.write(f"{truth.sessions} sessions, {truth.files} files, {truth.size:,} bytes; {truth.kinds}\n")


if __name__ == "__main__":
    main()
