"""The open ways to write a record: rolloutlog's, its peers', and the limits that no recorder can pass.

Each is used as its documentation says, and writes one line of JSON a record to one file. A peer is imported when it is
opened, so that a child process pays for its own peer alone.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.workloads import Wire
from rolloutlog import RolloutHandler, RolloutRecorder

_BATCH = 64


class Sink(NamedTuple):
    """An open way to write.

    Attributes:
        log: writes one record, or hands it over; any thread may call it.
        close: returns when the last byte is in the file.
        file: where the lines are; `None` if nothing is written.
        headers: lines in the file that are not records, and have the marker.
        drain: returns when no record waits any longer.
        marker: what each line of a record holds, if the file has other lines between them.
    """

    log: Callable[[Any], object]
    close: Callable[[], object]
    file: Path | None
    headers: int = 0
    drain: Callable[[], object] = lambda: None
    marker: bytes = b""


# -- rolloutlog --------------------------------------------------------------------------------------------------------


def recorder(folder: Path, threads: int) -> Sink:
    """A recorder with its defaults."""
    return _recorder(RolloutRecorder.create(folder))


def shared_recorder(folder: Path, threads: int) -> Sink:
    """A recorder whose session other processes may share: it takes the lock for each batch."""
    return _recorder(RolloutRecorder.create(folder, shared=True))


def envelope_recorder(folder: Path, threads: int) -> Sink:
    """A recorder of a session that the newest Codex can resume."""
    sink = _recorder(RolloutRecorder.create(folder, format="envelope"))
    return sink._replace(headers=0, marker=b'"type":"response_item"')


def _recorder(opened: RolloutRecorder) -> Sink:
    return Sink(opened.record, opened.close, opened.path, headers=1, drain=opened.flush)


def through_the_logger(folder: Path, threads: int) -> Sink:
    """A logger with our handler."""
    handler = RolloutHandler(folder, delay=False)
    recorder = handler.recorder
    assert recorder is not None
    return Sink(_logger(handler).info, handler.close, recorder.path, headers=1, drain=handler.flush)


# -- by hand, and the limits -------------------------------------------------------------------------------------------


def by_hand(folder: Path, threads: int) -> Sink:
    """The naive writer: the first that comes to mind."""
    path = folder / "lines.jsonl"
    file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - the sink closes it

    def log(record: Wire) -> None:
        file.write(json.dumps(record) + "\n")
        file.flush()

    return Sink(_one_at_a_time(log, threads), file.close, path)


def objects_by_hand(folder: Path, threads: int) -> Sink:
    """The same for what an SDK returns."""
    sink = by_hand(folder, threads)
    dumps = sink.log

    def log(record: Any) -> None:
        dumps(record if isinstance(record, dict) else record.to_dict())

    return sink._replace(log=log)


def orjson_by_hand(folder: Path, threads: int) -> Sink:
    """The same with orjson."""
    orjson = import_module("orjson")
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    path = folder / "lines.jsonl"
    file = open(path, "wb")  # noqa: SIM115 - the sink closes it

    def log(record: Wire) -> None:
        file.write(dumps(record, None, newline))
        file.flush()

    return Sink(_one_at_a_time(log, threads), file.close, path)


def one_write_a_record(folder: Path, threads: int) -> Sink:
    """No buffer: one system call a record."""
    orjson = import_module("orjson")
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    path = folder / "lines.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write

    def log(record: Wire) -> None:
        write(descriptor, dumps(record, None, newline))

    return Sink(log, lambda: os.close(descriptor), path)


def one_write_for_many(folder: Path, threads: int) -> Sink:
    """As much as one thread can do: the line by orjson, and one system call for many."""
    orjson = import_module("orjson")
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    path = folder / "lines.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    lines: list[bytes] = []

    def log(record: Wire) -> None:
        lines.append(dumps(record, None, newline))
        if len(lines) >= _BATCH:
            write()

    def write() -> None:
        os.write(descriptor, b"".join(lines))
        lines.clear()

    def close() -> None:
        write()
        os.close(descriptor)

    return Sink(_one_at_a_time(log, threads), close, path)


def nothing_written(folder: Path, threads: int) -> Sink:
    """The line by orjson, and nothing else."""
    return Sink(import_module("orjson").dumps, lambda: None, None)


def _one_at_a_time(log: Callable[[Any], None], threads: int) -> Callable[[Any], None]:
    """Return *log* within a lock, which several threads need."""
    if threads == 1:
        return log
    lock = threading.Lock()

    def locked(record: Any) -> None:
        with lock:
            log(record)

    return locked


# -- logging and its relatives -----------------------------------------------------------------------------------------


def _logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger("agent")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return logger


def _info_with_extra(handler: logging.Handler) -> Callable[[Any], None]:
    info = _logger(handler).info

    def log(extra: dict[str, Wire]) -> None:
        info("item", extra=extra)

    return log


def _json_formatter() -> logging.Formatter:
    formatter = import_module("pythonjsonlogger.orjson").OrjsonFormatter()
    assert isinstance(formatter, logging.Formatter)
    return formatter


def file_handler(folder: Path, threads: int) -> Sink:
    """The standard library's handler with a JSON formatter."""
    path = folder / "lines.jsonl"
    handler = logging.FileHandler(path)
    handler.setFormatter(_json_formatter())
    return Sink(_info_with_extra(handler), handler.close, path)


def queue_handler(folder: Path, threads: int) -> Sink:
    """The standard library's way to write on another thread, with a queue that has no bound."""
    path = folder / "lines.jsonl"
    handler = logging.FileHandler(path)
    handler.setFormatter(_json_formatter())
    hand_off: queue.Queue[Any] = queue.Queue(-1)
    listener = logging.handlers.QueueListener(hand_off, handler)
    listener.start()

    def close() -> None:
        listener.stop()
        handler.close()

    def drain() -> None:
        while not hand_off.empty():
            time.sleep(0.001)

    return Sink(_info_with_extra(logging.handlers.QueueHandler(hand_off)), close, path, drain=drain)


def concurrent_log_handler(folder: Path, threads: int) -> Sink:
    """A handler for several processes, with a lock for each record."""
    path = folder / "lines.jsonl"
    handler = import_module("concurrent_log_handler").ConcurrentRotatingFileHandler(str(path), "a")
    handler.setFormatter(_json_formatter())
    return Sink(_info_with_extra(handler), handler.close, path)


def structlog_bytes(folder: Path, threads: int) -> Sink:
    """Bytes from structlog down to the file."""
    structlog, orjson = import_module("structlog"), import_module("orjson")
    path = folder / "lines.jsonl"
    file = open(path, "wb")  # noqa: SIM115 - the sink closes it
    # The configuration that its own page on performance recommends.
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file),
    )
    info = structlog.get_logger().info

    def log(record: Wire) -> None:
        info("item", item=record)

    return Sink(log, file.close, path)


def loguru_json(folder: Path, threads: int, *, enqueue: bool = False) -> Sink:
    """JSON as loguru makes it."""
    logger = import_module("loguru").logger
    path = folder / "lines.jsonl"
    logger.remove()
    logger.add(path, serialize=True, enqueue=enqueue, format="{message}")
    info = logger.info

    def log(record: Wire) -> None:
        info("item", item=record)

    return Sink(log, logger.remove, path, drain=logger.complete)


def loguru_queued(folder: Path, threads: int) -> Sink:
    """The same on another thread."""
    return loguru_json(folder, threads, enqueue=True)


def picologging(folder: Path, threads: int) -> Sink:
    """The standard library's logging, rewritten in C."""
    picologging, orjson = import_module("picologging"), import_module("orjson")
    path = folder / "lines.jsonl"
    handler = picologging.FileHandler(str(path))
    handler.setFormatter(picologging.Formatter("%(message)s"))
    logger = picologging.Logger("agent", picologging.INFO)
    logger.addHandler(handler)
    info, dumps = logger.info, orjson.dumps

    def log(record: Wire) -> None:
        info(dumps(record).decode())  # it takes no extras, so its caller makes the line

    return Sink(log, handler.close, path)
