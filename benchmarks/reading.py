"""One way to read a session, measured in a process of its own: megabytes a second, and the growth of memory."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import rolloutlog
from benchmarks.memory import Peak
from rolloutlog import iter_entries, load_session

LOAD, LOAD_AGAIN, ITERATE = "load_session", "load_session (again)", "iter_entries"
JSON_KEPT, JSON_STREAMED = "json.loads a line, kept", "json.loads a line"
ORJSON_KEPT, ORJSON_STREAMED = "orjson.loads a line, kept", "orjson.loads a line"
PYDANTIC = "pydantic, kept"
LOAD_UNCOLLECTED, ORJSON_UNCOLLECTED = f"{LOAD}, collector off", f"{ORJSON_KEPT}, collector off"
EVENTS = "iter_lines, events"

# A session of today's Codex: items in lines of their own format, and events between them.
ENVELOPE = "Codex session"


def _iterate(path: Path) -> None:
    for _ in iter_entries(path):
        pass


def _events(path: Path) -> None:
    for _ in rolloutlog.iter_lines(path, kinds={"event"}):
        pass


def _json_kept(path: Path) -> Any:
    loads = json.loads
    with open(path, "rb") as file:
        return [loads(line) for line in file]


def _json_streamed(path: Path) -> None:
    loads = json.loads
    with open(path, "rb") as file:
        for line in file:
            loads(line)


def _orjson_kept(path: Path) -> Any:
    loads = import_module("orjson").loads
    with open(path, "rb") as file:
        return [loads(line) for line in file]


def _orjson_streamed(path: Path) -> None:
    loads = import_module("orjson").loads
    with open(path, "rb") as file:
        for line in file:
            loads(line)


def _pydantic_kept(path: Path) -> Any:
    validate = _pydantic_items().validate_json
    with open(path, "rb") as file:
        next(file)  # the meta line is not an item
        return [validate(line) for line in file]


def _pydantic_items() -> Any:
    """Return the adapter that reads a line as one of four models, told apart by their type; other keys are dropped."""
    pydantic = import_module("pydantic")
    model = pydantic.create_model
    text: Any = model("Text", type=(str, ...), text=(str, ...))
    message = model(
        "Message", type=(Literal["message"], ...), id=(str | None, None), role=(str, ...), content=(list[text], ...)
    )
    call = model(
        "Call",
        type=(Literal["function_call"], ...),
        id=(str | None, None),
        name=(str, ...),
        arguments=(str, ...),
        call_id=(str, ...),
    )
    output = model("Output", type=(Literal["function_call_output"], ...), call_id=(str, ...), output=(str, ...))
    reasoning = model(
        "Reasoning",
        type=(Literal["reasoning"], ...),
        id=(str | None, None),
        summary=(list[text], ...),
        encrypted_content=(str | None, None),
    )
    either = message | call | output | reasoning
    return pydantic.TypeAdapter(Annotated[either, pydantic.Field(discriminator="type")])


@dataclass(frozen=True)
class Reader:
    """A way to read.

    Attributes:
        name: what the tables call it.
        read: reads a file, and returns what it keeps.
        needs: the packages without which it does not work.
        collected: whether the garbage collector is on.
        function: the function of rolloutlog that it calls, if not every version has it.
        envelope: whether it can read a session of today's Codex.
    """

    name: str
    read: Callable[[Path], object]
    needs: tuple[str, ...] = ()
    collected: bool = True
    function: str = ""
    envelope: bool = True

    @property
    def missing(self) -> list[str]:
        """The packages and functions that it needs and that are not there."""
        packages = [package for package in self.needs if find_spec(package) is None]
        return packages + [f"rolloutlog.{self.function}"] * (not hasattr(rolloutlog, self.function or "load_session"))


READERS = (
    Reader(LOAD, load_session),
    Reader(LOAD_AGAIN, load_session),
    Reader(LOAD_UNCOLLECTED, load_session, collected=False),
    Reader(ITERATE, _iterate),
    Reader(EVENTS, _events, function="iter_lines"),
    Reader(JSON_KEPT, _json_kept),
    Reader(JSON_STREAMED, _json_streamed),
    Reader(ORJSON_KEPT, _orjson_kept, ("orjson",)),
    Reader(ORJSON_UNCOLLECTED, _orjson_kept, ("orjson",), collected=False),
    Reader(ORJSON_STREAMED, _orjson_streamed, ("orjson",)),
    Reader(PYDANTIC, _pydantic_kept, ("pydantic",), envelope=False),
)


def scene(workload: str, megabytes: int) -> str:
    """Return the name of a scene: a workload, and how much of it is read."""
    return f"reading/{workload}/{megabytes}"


def measure(variant: str, workload: str, megabytes: int, path: str) -> dict[str, dict[str, float]]:
    """Read *path* once, and return the measures by scene."""
    reader = next(known for known in READERS if known.name == variant)
    for package in reader.needs:
        import_module(package)  # an import is not part of reading
    size = os.path.getsize(path) / 1e6
    if not reader.collected:
        gc.disable()
    memory = Peak()
    begin, processor = time.perf_counter(), time.process_time()
    kept = reader.read(Path(path))
    took, used = time.perf_counter() - begin, time.process_time() - processor
    growth = memory.growth / 1e6
    del kept
    measures = {"speed": size / took, "processor": size / used, "memory": growth, "share": growth / size}
    return {scene(workload, megabytes): measures}
