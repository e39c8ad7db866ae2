"""The ways to write that are compared, by name, with the form of a record that each takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks import sinks
from benchmarks.sinks import Sink
from benchmarks.workloads import DICTS, EXTRAS, OBJECTS
from benchmarks.workloads import ITEMS as MADE
from benchmarks.workloads import LOADED as READ

NAIVE = "json.dumps + write + flush"
NAIVE_OBJECTS = "to_dict + json.dumps + write + flush"
DICT = "recorder, dicts"
OBJECT = "recorder, SDK objects"
ENVELOPE = "recorder, dicts, envelope format"
LOADED = "recorder, loaded items"
ITEMS = "recorder, items"
AGAIN = "recorder, items (again)"
LOGGER = "recorder, items through the logger"
SHARED = "recorder, items, shared"
ONE_WRITE = "orjson + one os.write a record"
LIMIT = "orjson + one os.write for 64 records"
FILE_HANDLER = "FileHandler + python-json-logger"
QUEUE_HANDLER = "QueueHandler + QueueListener"
LOGURU_QUEUED = "loguru, enqueue"


@dataclass(frozen=True)
class Variant:
    """A way to write.

    Attributes:
        name: what the tables call it.
        open: opens it on a file in a folder, for so many threads.
        form: the form of a record that `Sink.log` takes.
        needs: the packages without which it does not work.
        most_threads: with more, it does not work.
    """

    name: str
    open: Callable[[Path, int], Sink]
    form: str = DICTS
    needs: tuple[str, ...] = ()
    most_threads: int = sys.maxsize

    @property
    def missing(self) -> list[str]:
        """The packages that it needs and that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


VARIANTS = (
    Variant(DICT, sinks.recorder),
    Variant(OBJECT, sinks.recorder, OBJECTS),
    Variant(LOADED, sinks.recorder, READ),
    Variant(ENVELOPE, sinks.envelope_recorder),
    Variant(ITEMS, sinks.recorder, MADE),
    Variant(AGAIN, sinks.recorder, MADE),
    Variant(LOGGER, sinks.through_the_logger, MADE),
    Variant(SHARED, sinks.shared_recorder, MADE),
    Variant(NAIVE, sinks.by_hand),
    Variant(NAIVE_OBJECTS, sinks.objects_by_hand, OBJECTS),
    Variant("orjson + write + flush", sinks.orjson_by_hand, needs=("orjson",)),
    Variant(FILE_HANDLER, sinks.file_handler, EXTRAS, ("pythonjsonlogger", "orjson")),
    Variant(QUEUE_HANDLER, sinks.queue_handler, EXTRAS, ("pythonjsonlogger", "orjson")),
    Variant("structlog + orjson", sinks.structlog_bytes, needs=("structlog", "orjson")),
    Variant("loguru", sinks.loguru_json, needs=("loguru",)),
    Variant(LOGURU_QUEUED, sinks.loguru_queued, needs=("loguru",)),
    # Two threads that log at once deadlock: one holds its native lock, and one the interpreter's.
    Variant("picologging + orjson", sinks.picologging, needs=("picologging", "orjson"), most_threads=1),
    Variant(
        "concurrent-log-handler",
        sinks.concurrent_log_handler,
        EXTRAS,
        ("concurrent_log_handler", "pythonjsonlogger"),
    ),
    Variant(ONE_WRITE, sinks.one_write_a_record, needs=("orjson",)),
    Variant(LIMIT, sinks.one_write_for_many, needs=("orjson",)),
    Variant("limit: orjson alone", sinks.nothing_written, needs=("orjson",)),
)
# Enough to see what a workload costs: ours, and the naive writer on the same values.
FEW = (DICT, OBJECT, LOADED, ENVELOPE, ITEMS, NAIVE, NAIVE_OBJECTS, "orjson + write + flush", LIMIT)
