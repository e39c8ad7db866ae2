"""Several processes write one session: each opens it with shared=True, and their lines never mix."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

from rolloutlog import Message, RolloutRecorder, load_session

WORKERS, RECORDS = 4, 250


def work(path: Path, name: str) -> None:
    """Record in the session at *path*; runs in a process of its own."""
    recorder, _ = RolloutRecorder.resume(path, shared=True)
    with recorder:
        for number in range(RECORDS):
            recorder.record(Message.assistant(f"{name} {number}"))


def main() -> None:
    """Start the workers, wait for them, and check that all records are there, in the order of each worker."""
    with RolloutRecorder.create(shared=True) as recorder:
        recorder.record(Message.user("Count, all of you"))
        spawn = multiprocessing.get_context("spawn")  # fork works as well, but not while threads fork at the same time
        workers = [spawn.Process(target=work, args=(recorder.path, f"worker-{n}")) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0

    saved = load_session(recorder.path)
    said = [item.text.split() for item in saved.items[1:]]
    print(saved.skipped, sorted(Counter(name for name, _ in said).items()))
    for n in range(WORKERS):
        assert [int(number) for name, number in said if name == f"worker-{n}"] == list(range(RECORDS))
    print("each worker's records are whole and in order")


if __name__ == "__main__":
    main()
