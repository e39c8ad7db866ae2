"""One way to read a session, measured in a process of its own: megabytes a second, and memory above what was held."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.memory import Peak
from rolloutlog import iter_entries, load_session

LOAD, LOAD_AGAIN, ITERATE = "load_session", "load_session (again)", "iter_entries"
JSON_KEPT, JSON_STREAMED = "json.loads a line, kept", "json.loads a line"
ORJSON_KEPT, ORJSON_STREAMED = "orjson.loads a line, kept", "orjson.loads a line"
PYDANTIC = "pydantic, kept"


def _iterate(path: Path) -> None:
    for _ in iter_entries(path):
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
        next(file)  # the meta line is no item
        return [validate(line) for line in file]


def _pydantic_items() -> Any:
    """Return what reads a line as one of four models, told apart by their type; no further keys are kept."""
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
    """A way to read: its name, what reads and returns what it keeps, and the packages that it cannot do without."""

    name: str
    read: Callable[[Path], object]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The packages that it needs and that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


READERS = (
    Reader(LOAD, load_session),
    Reader(LOAD_AGAIN, load_session),
    Reader(ITERATE, _iterate),
    Reader(JSON_KEPT, _json_kept),
    Reader(JSON_STREAMED, _json_streamed),
    Reader(ORJSON_KEPT, _orjson_kept, ("orjson",)),
    Reader(ORJSON_STREAMED, _orjson_streamed, ("orjson",)),
    Reader(PYDANTIC, _pydantic_kept, ("pydantic",)),
)


def scene(workload: str, megabytes: int) -> str:
    """Return the name of a scene: what is read, and how much of it."""
    return f"reading/{workload}/{megabytes}"


def measure(variant: str, workload: str, megabytes: int, path: str) -> dict[str, dict[str, float]]:
    """Read *path* once, and return the measures by scene."""
    reader = next(known for known in READERS if known.name == variant)
    for package in reader.needs:
        import_module(package)  # to import is not to read
    size = os.path.getsize(path) / 1e6
    memory = Peak()
    begin, processor = time.perf_counter(), time.process_time()
    kept = reader.read(Path(path))
    took, used = time.perf_counter() - begin, time.process_time() - processor
    growth = memory.growth / 1e6
    del kept
    measures = {"speed": size / took, "processor": size / used, "memory": growth, "share": growth / size}
    return {scene(workload, megabytes): measures}
