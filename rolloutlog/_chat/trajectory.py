"""A session as a trajectory of the Agent Trajectory Interchange Format (ATIF), version 1.8."""

from __future__ import annotations

import datetime as dt
import mimetypes
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from .._entries import Entry, LogEntry, OtherEntry, SessionMeta
from .._item import Item, joined
from .._json import InvalidJson, dumps, loads
from .._shapes import Wire
from .._usage import Requests, Tokens, of_log

VERSION = "ATIF-v1.8"

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)[;,]")
_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
# Where calls of all types keep what they ask for.
_ARGUMENTS = ("arguments", "input", "action", "actions", "operation", "queries", "code")
_OUTPUTS = ("output", "result", "tools")
# Where calls that the API carries out itself have their outputs.
_OWN_OUTPUTS = ("output", "outputs", "result", "results")


class Line(Protocol):
    """A line of a session, as `SavedSession.lines` yields them."""

    @property
    def timestamp(self) -> dt.datetime | None: ...
    @property
    def inherited(self) -> bool: ...
    @property
    def entry(self) -> Entry: ...


def trajectory(session: SessionMeta, lines: Iterable[Line]) -> Wire:
    """Return the session of *session*, whose lines are *lines*, as a trajectory: plain JSON."""
    steps = _Steps(session)
    for line in lines:
        steps.add(line)
    return steps.trajectory()


class _Steps:
    """The steps of a trajectory, as lines are added in order.

    A step of the agent is what the model said at once: reasoning, a message, calls; and the outputs of these calls.
    """

    def __init__(self, session: SessionMeta) -> None:
        self._session = session
        self._steps: list[Wire] = []
        self._open: Wire | None = None  # the step of the agent that more may be added to
        self._agent: Wire | None = None  # the last one
        self._by_call: dict[str, Wire] = {}
        self._requests = Requests(session.id)
        self._totals: Tokens | None = None
        self._models: list[str] = []
        self._left_out: Counter[str] = Counter()
        if session.instructions:
            self._step("system", session.instructions, None)

    def add(self, line: Line) -> None:
        """Add the step, or the part of one, that *line* holds."""
        entry = line.entry
        if isinstance(entry, Item):
            self._add_item(entry._read(), line)
        elif isinstance(entry, LogEntry):
            self._add_tokens(of_log(entry.logger, entry.extra), line)
            self._hear_model(entry.extra.get("response"))
        elif isinstance(entry, OtherEntry):
            payload = entry.raw.get("payload")
            if entry.type == "turn_context":
                self._hear_model(payload)
            self._add_tokens(self._requests.of(entry.type, payload), line)

    # -- items --------------------------------------------------------------------------------------------------------

    def _add_item(self, item: Wire, line: Line) -> None:
        kind = item["type"]
        if kind == "message" and item["role"] == "assistant":
            step = self._agent_step(line, begins=self._open is not None and ("tool_calls" in self._open))
            before, said = step["message"], self._content(item["content"])
            step["message"] = _joined(before, said) if before else said
        elif kind == "message":
            self._open = None
            source = "user" if item["role"] == "user" else "system"
            self._step(source, self._content(item["content"]), line)
        elif kind == "reasoning":
            self._add_reasoning(item, line)
        elif kind.endswith("_output"):
            self._add_output(item, line)
        elif kind.endswith("_call"):
            self._add_call(item, line)
        else:
            self._left_out[f"an item of the type {kind[:60]}"] += 1

    def _add_reasoning(self, item: Wire, line: Line) -> None:
        text = joined(item.get("content"), "\n\n") or joined(item.get("summary"), "\n\n")
        if not text:
            self._left_out["reasoning without a text"] += 1
            return
        step = self._agent_step(line, begins=self._open is not None and bool(self._open["message"]))
        step["reasoning_content"] = "\n\n".join(filter(None, (step.get("reasoning_content"), text)))

    def _add_call(self, item: Wire, line: Line) -> None:
        step = self._agent_step(line, begins=self._open is not None and "observation" in self._open)
        call_id = _id_of(item) or f"call_{len(self._steps)}_{len(step.get('tool_calls', ()))}"
        name = item.get("name")
        call: Wire = {
            "tool_call_id": call_id,
            "function_name": name if isinstance(name, str) else item["type"].removesuffix("_call"),
            "arguments": _arguments(item),
        }
        step.setdefault("tool_calls", []).append(call)
        self._by_call[call_id] = step
        for key in _OWN_OUTPUTS:
            if (own := item.get(key)) is not None and item["type"] == "image_generation_call":
                self._left_out["the picture of an image_generation_call"] += 1
            elif own is not None and own != []:
                result = {"source_call_id": call_id, "content": own if isinstance(own, str) else _text_of(own)}
                step.setdefault("observation", {"results": []})["results"].append(result)

    def _add_output(self, item: Wire, line: Line) -> None:
        call_id = _id_of(item)
        output = next((item[key] for key in _OUTPUTS if item.get(key) is not None), "")
        content = self._content(output) if isinstance(output, str | list) else _text_of(output)
        step = None if call_id is None else self._by_call.get(call_id)
        if step is not None:
            result: Wire = {"source_call_id": call_id, "content": content}
        else:
            self._open = None
            step, result = self._step("system", "", line), {"content": content}
        step.setdefault("observation", {"results": []})["results"].append(result)

    def _content(self, parts: Any) -> str | list[Wire]:
        """Return the content of a message or of an output: its text, or parts where there are pictures."""
        if isinstance(parts, str):
            return parts
        made: list[Wire] = []
        for part in parts if isinstance(parts, list) else ():
            text, url = (part.get(key) if isinstance(part, dict) else None for key in ("text", "image_url"))
            if isinstance(text, str):
                made.append({"type": "text", "text": text})
            elif isinstance(part, dict) and isinstance(refusal := part.get("refusal"), str):
                made.append({"type": "text", "text": refusal})
            elif isinstance(url, str) and (media := _media_type(url)) is not None:
                made.append({"type": "image", "source": {"media_type": media, "path": url}})
            else:
                kind = part.get("type") if isinstance(part, dict) else None
                self._left_out[f"a part of the type {str(kind)[:60]}"] += 1
        if any(part["type"] == "image" for part in made):
            return made
        return "".join(part["text"] for part in made)

    # -- steps --------------------------------------------------------------------------------------------------------

    def _step(self, source: str, message: str | list[Wire], line: Line | None) -> Wire:
        step: Wire = {"step_id": len(self._steps) + 1}
        if line is not None and line.timestamp is not None:
            step["timestamp"] = line.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        step |= {"source": source, "message": message}
        if line is not None and line.inherited:
            step["is_copied_context"] = True
        self._steps.append(step)
        return step

    def _agent_step(self, line: Line, *, begins: bool) -> Wire:
        """Return the step of the agent that *line* belongs to: the one that is open, unless a new one *begins*."""
        if self._open is None or begins or "observation" in self._open:
            self._open = self._agent = self._step("agent", "", line)
            if self._models:
                self._open["model_name"] = self._models[-1]
        return self._open

    # -- models and tokens --------------------------------------------------------------------------------------------

    def _hear_model(self, told: Any) -> None:
        model = told.get("model") if isinstance(told, Mapping) else None
        if isinstance(model, str) and model:
            self._models.append(model)
            if self._agent is not None and "metrics" in self._agent:
                self._agent.setdefault("model_name", model)

    def _add_tokens(self, tokens: Tokens | None, line: Line) -> None:
        if tokens is None or line.inherited:
            return
        self._totals = _sum(self._totals, tokens)
        if self._agent is not None and not self._agent.get("is_copied_context"):
            self._agent["metrics"] = _metrics(tokens, self._agent.get("metrics"))

    def trajectory(self) -> Wire:
        """Return the trajectory of the steps so far."""
        session, extra = self._session, self._session.extra
        agent: Wire = {
            "name": _text(extra, "originator") or "unknown",
            "version": _text(extra, "cli_version") or "unknown",
        }
        if self._models:
            agent["model_name"] = self._models[0]
        tools = extra.get("tools")
        if isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools):
            agent["tool_definitions"] = tools
        told: Wire = {"schema_version": VERSION, "session_id": session.id, "agent": agent, "steps": self._steps}
        if self._left_out:
            counts = ", ".join(f"{what} ({count}×)" for what, count in self._left_out.most_common())
            told["notes"] = f"Not carried: {counts}."
        final: Wire = {"total_steps": len(self._steps)}
        if self._totals is not None:
            final["total_prompt_tokens"] = self._totals.input
            final["total_completion_tokens"] = self._totals.output
            final["total_cached_tokens"] = self._totals.cached
            final["extra"] = {"reasoning_tokens": self._totals.reasoning}
        told["final_metrics"] = final
        facts = {"cwd": _text(extra, "cwd"), "name": session.name, "parent_id": session.parent_id}
        if kept := {key: value for key, value in facts.items() if value is not None}:
            told["extra"] = kept
        return told


def _sum(one: Tokens | None, other: Tokens) -> Tokens:
    return other if one is None else Tokens(*(left + right for left, right in zip(one, other, strict=True)))


def _metrics(tokens: Tokens, before: Wire | None) -> Wire:
    """Return the metrics of a step: those of one request, added to those *before* where it had more than one."""
    made = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "cached_tokens": tokens.cached,
        "extra": {"reasoning_tokens": tokens.reasoning},
    }
    if before is None:
        return made
    return {
        "extra": {"reasoning_tokens": before["extra"]["reasoning_tokens"] + tokens.reasoning},
        **{key: before[key] + made[key] for key in ("prompt_tokens", "completion_tokens", "cached_tokens")},
    }


def _joined(one: str | list[Wire], other: str | list[Wire]) -> str | list[Wire]:
    """Return two contents as one."""
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [*_parts(one), *_parts(other)]


def _parts(content: str | list[Wire]) -> list[Wire]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _id_of(item: Wire) -> str | None:
    found = item.get("call_id") or item.get("id")
    return found if isinstance(found, str) else None


def _arguments(item: Wire) -> Wire:
    """Return what a call asks for, as an object."""
    given: Any = next((item[key] for key in _ARGUMENTS if item.get(key) is not None), {})
    if isinstance(given, str):
        try:
            value = loads(given.encode())
        except (InvalidJson, ValueError):
            value = None
        return value if isinstance(value, dict) else {"input": given}
    return given if isinstance(given, dict) else {"input": given}


def _media_type(url: str) -> str | None:
    """Return the type of the picture at *url*, if the format knows it."""
    data = _DATA.match(url)
    found = data[1].lower() if data is not None else mimetypes.guess_type(url.partition("?")[0])[0]
    return found if found in _PICTURES else None


def _text_of(value: Any) -> str:
    return dumps(value).decode()


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None
