"""What is compared: the ways to write a record by name, with what each takes and needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import sinks
from benchmarks.sinks import Sink
from benchmarks.workloads import SdkLike, Wire, as_item

NAIVE = "json.dumps + write + flush"
ITEMS = "recorder, items"
AGAIN = "recorder, items (again)"
LOGGER = "recorder, through the logger"
SHARED = "recorder, items, shared"
ONE_WRITE = "orjson + one os.write a record"
LIMIT = "orjson + one os.write for 64 records"
FILE_HANDLER = "FileHandler + python-json-logger"
QUEUE_HANDLER = "QueueHandler + QueueListener"
LOGURU_QUEUED = "loguru, enqueue"


def _same(wire: Wire) -> Any:
    return wire


@dataclass(frozen=True)
class Variant:
    """A way to write.

    Attributes:
        name: what the tables call it.
        open: opens it on a file in a folder, for so many threads.
        prepare: makes what `Sink.log` takes of a record, before the clock starts.
        needs: the packages that it cannot do without.
        most_threads: with more, it does not work.
    """

    name: str
    open: Callable[[Path, int], Sink]
    prepare: Callable[[Wire], Any] = _same
    needs: tuple[str, ...] = ()
    most_threads: int = sys.maxsize

    @property
    def missing(self) -> list[str]:
        """The packages that it needs and that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


VARIANTS = (
    Variant(ITEMS, sinks.recorder, as_item),
    Variant(AGAIN, sinks.recorder, as_item),
    Variant("recorder, dicts", sinks.recorder),
    Variant("recorder, SDK-like objects", sinks.recorder, SdkLike),
    Variant(LOGGER, sinks.through_the_logger, as_item),
    Variant(SHARED, sinks.shared_recorder, as_item),
    Variant(NAIVE, sinks.by_hand),
    Variant("orjson + write + flush", sinks.orjson_by_hand, needs=("orjson",)),
    Variant(FILE_HANDLER, sinks.file_handler, sinks.as_extra, ("pythonjsonlogger", "orjson")),
    Variant(QUEUE_HANDLER, sinks.queue_handler, sinks.as_extra, ("pythonjsonlogger", "orjson")),
    Variant("structlog + orjson", sinks.structlog_bytes, needs=("structlog", "orjson")),
    Variant("loguru", sinks.loguru_json, needs=("loguru",)),
    Variant(LOGURU_QUEUED, sinks.loguru_queued, needs=("loguru",)),
    # Two threads that log at once wait for each other for ever, one for its native lock and one for the interpreter's.
    Variant("picologging + orjson", sinks.picologging, needs=("picologging", "orjson"), most_threads=1),
    Variant(
        "concurrent-log-handler",
        sinks.concurrent_log_handler,
        sinks.as_extra,
        ("concurrent_log_handler", "pythonjsonlogger"),
    ),
    Variant(ONE_WRITE, sinks.one_write_a_record, needs=("orjson",)),
    Variant(LIMIT, sinks.one_write_for_many, needs=("orjson",)),
    Variant("limit: orjson alone", sinks.nothing_written, needs=("orjson",)),
)
