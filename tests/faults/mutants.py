"""Mutants: small faults put into a copy of the package on purpose; the harness must notice every one of them."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import attrs

from .harness import Report, row, scratch

# A mutant that makes the harness hang is noticed, too.
_TIMEOUT = 120


@attrs.frozen
class Mutant:
    """One change: *old* stands once in *module* and becomes *new*; some of *rows* are expected to notice."""

    name: str
    module: str
    old: str
    new: str
    rows: tuple[str, ...]

    def file_in(self, package: Path) -> Path:
        """Return the file of the module in *package*."""
        return package.joinpath(*self.module.split(".")).with_suffix(".py")


EACH = ("failing.each_call",)

MUTANTS = (
    # -- the journal
    Mutant("no cut back", "_writing.append", "self._system.ftruncate(self._fd, run.begin)", "pass", EACH),
    Mutant(
        "cut back without a look who wrote last",
        "_writing.append",
        "if is_there and self._system.fstat(self._fd).st_size == run.end:",
        "if is_there:",
        ("moved.stranger",),
    ),
    Mutant(
        "no heal of a torn tail",
        "_writing.append",
        'b"" if tail.endswith(b"\\n") else',
        'b"" if tail else',
        ("failing.each_call", "moved.between"),
    ),
    Mutant(
        "a short write taken for a whole one",
        "_writing.append",
        "if part is left and not is_torn:",
        "if part is left:",
        EACH,
    ),
    Mutant(
        "what a failed append left is forgotten",
        "_writing.append",
        "        self._cut = run\n",
        "        pass\n",
        EACH,
    ),
    Mutant(
        "always: a failed sync simply repeated",
        "_writing.append",
        "        except BaseException:\n            self._undo(run)",
        "        except OSError:\n            self.end = run.end",
        ("failing.sync",),
    ),
    Mutant(
        "flush: a failed sync simply repeated",
        "_writing.append",
        "            if run is not None:\n                self._undo(run)",
        "            pass",
        ("failing.sync",),
    ),
    Mutant(
        "always means never",
        "_writing.append",
        'if self._fsync == "always":',
        'if self._fsync == "on sundays":',
        ("power.simulated",),
    ),
    Mutant(
        "folders are not synced",
        "_writing.file",
        'if self.fsync != "never":\n                self._sync_folders',
        'if self.fsync == "on sundays":\n                self._sync_folders',
        ("power.simulated",),
    ),
    Mutant(
        "a moved file goes unnoticed",
        "_writing.file",
        "here is not None and (here.st_dev, here.st_ino) == self._identity",
        "here is not None",
        ("moved.between",),
    ),
    Mutant(
        "removed amid a write goes unnoticed",
        "_writing.append",
        "self._system.fstat(self._fd).st_nlink == 0",
        "False",
        ("moved.within",),
    ),
    Mutant("a new file without its header", "_writing.append", "return header[size:]", 'return b""', EACH),
    Mutant(
        "links are followed", "_writing.file", "os.O_CLOEXEC | os.O_NOFOLLOW |", "os.O_CLOEXEC |", ("moved.between",)
    ),
    Mutant(
        "shared: the lock is not taken",
        "_writing.file",
        "        if self._fd < 0:\n            return  # `_ready` opens it",
        "        if True:\n            return  # `_ready` opens it",
        ("many.lock",),
    ),
    Mutant(
        "exclusive: the lock is not taken",
        "_writing.file",
        "                if not self.shared:\n                    lock(",
        "                if False:\n                    lock(",
        ("many.exclusive",),
    ),
    Mutant(
        "a fork frees its parent's lock",
        "_writing.writer",
        "self.journal.abandon()",
        "self.journal.close()",
        ("many.exclusive",),
    ),
    Mutant(
        "the mode of files is left to the umask",
        "_writing.file",
        "stat.S_IMODE(status.st_mode) != 0o600",
        "False",
        ("private.modes",),
    ),
    Mutant(
        "the mode of folders is left to the umask",
        "_writing.os_calls",
        "if stat.S_IMODE(system.lstat(new).st_mode) != 0o700:",
        "if False:",
        ("private.modes",),
    ),
    Mutant(
        "a create that fails leaves its file",
        "_writing.file",
        "            if is_named:",
        "            if False:",
        ("failing.create",),
    ),
    # -- the turn
    Mutant(
        "ack before write",
        "_writing.commit",
        "                self._write()\n                self._answer(command)",
        "                command.ack.set()\n                self._write()\n                self._answer(command)",
        ("accounting.acks",),
    ),
    Mutant("the ack says nothing of the error", "_writing.commit", "ack.error = self._unwritten()", "pass", EACH),
    Mutant(
        "what cannot be written is dropped",
        "_writing.commit",
        "        self._counters.failures += 1\n",
        "        self._counters.failures += 1\n        self._backlog.clear()\n",
        EACH,
    ),
    Mutant(
        "drops leave no line",
        "_writing.commit",
        "self._backlog.append(self._last_gap[0])",
        "pass",
        ("accounting.machine",),
    ),
    Mutant("drops are not counted", "_writing.commit", "counters.dropped += count", "pass", ("accounting.machine",)),
    Mutant(
        "records are counted as one", "_writing.commit", "counters.written += written", "counters.written += 1", EACH
    ),
    Mutant(
        "a failed sync still counts as written",
        "_writing.commit",
        "self._counters.written -= self._unsynced_records",
        "pass",
        ("accounting.machine", "failing.each_call"),
    ),
    Mutant(
        "what a failed sync lost is not kept",
        "_writing.commit",
        "self._backlog[:0] = self._unsynced",
        "pass",
        ("failing.sync", "accounting.machine"),
    ),
    Mutant(
        "no retry by itself",
        "_writing.commit",
        "return bool(self._taken or self._backlog or self.closing)",
        "return bool(self._taken or self.closing)",
        ("failing.thread",),
    ),
    Mutant(
        "flush does not sync",
        "_writing.commit",
        "        if not self._backlog:\n            self._sync()\n        if self._backlog:",
        "        if self._backlog:",
        ("power.simulated",),
    ),
    # -- the writer
    Mutant(
        "the writer does not look twice",
        "_writing.writer",
        "        self._committer.commit()  # the second check",
        "        # the second check",
        ("accounting.looks",),
    ),
    Mutant(
        "callers do not look again",
        "_writing.writer",
        "if self._reached is not _OPEN or self._unattended:",
        "if self._unattended:",
        ("accounting.looks",),
    ),
    Mutant(
        "closed is said after the second look",
        "_writing.writer",
        "        self._reached = State.CLOSED\n        self._committer.commit()",
        "        self._committer.commit()\n        self._reached = State.CLOSED\n        ",
        ("accounting.looks",),
    ),
    Mutant(
        "the queue has no bound",
        "_writing.queue",
        "if self._commands.qsize() >= self.limit:\n            return False",
        "if False:\n            return False",
        ("hangs.stuck", "accounting.machine"),
    ),
    Mutant("the queue is a stack", "_writing.queue", "into.extend(map(", "into.extendleft(map(", ("accounting.acks",)),
    Mutant(
        "nothing is flushed at exit",
        "_writing.registry",
        "writers = tuple(_workers.open)",
        "writers: list[Writer] = []",
        ("hangs.exits",),
    ),
    Mutant(
        "taking up a session again does not flush",
        "_writing.registry",
        "writer.request_flush().result(max(0.0, deadline - monotonic()))",
        "pass",
        ("many.same_process",),
    ),
    Mutant(
        "the result of an ack is always good",
        "_writing.ack",
        "            raise self.error",
        "            return  # ",
        EACH,
    ),
    Mutant("a timeout is no error", "_writing.ack", "        if not is_over:", "        if False:", ("hangs.stuck",)),
)


def apply(mutant: Mutant, package: Path) -> bool:
    """Put *mutant* into the *package*; false if what it changes does not stand there, once."""
    module = mutant.file_in(package)
    source = module.read_text()
    if source.count(mutant.old) != 1:
        return False
    module.write_text(source.replace(mutant.old, mutant.new))
    return True


def notices(mutant: Mutant) -> str | None:
    """Run the rows of *mutant* against a copy of the package that has it; return which row noticed, or `None`."""
    spec = importlib.util.find_spec("rolloutlog")
    assert spec is not None
    assert spec.origin is not None
    with scratch("/dev/shm") as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(spec.origin).parent, folder / "rolloutlog", ignore=ignored)
        shutil.copytree(Path(__file__).parent, folder / "tests" / "faults", ignore=ignored)
        assert apply(mutant, folder / "rolloutlog"), mutant.name
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "tests")])}
        for name in mutant.rows:
            command = [sys.executable, "-m", "tests.faults", name, "--size", "quick", "--seed", "1"]
            try:
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, timeout=_TIMEOUT, check=False
                )
            except subprocess.TimeoutExpired:
                return f"{name}, by a hang"
            if done.returncode != 0:
                return name
    return None


@row("mutants.killed", "each fault put into the code is noticed", quick=2, full=len(MUTANTS), long=len(MUTANTS))
def killed(report: Report, size: int, dice: random.Random) -> None:
    """Every mutant still applies; and as many as asked for, at random, are noticed by a row at its quick size."""
    spec = importlib.util.find_spec("rolloutlog")
    assert spec is not None
    assert spec.origin is not None
    for mutant in MUTANTS:
        count = mutant.file_in(Path(spec.origin).parent).read_text().count(mutant.old)
        report.expect(count == 1, f"{mutant.name}: its place stands {count} times in {mutant.module}: move it along")
    for mutant in MUTANTS if size >= len(MUTANTS) else dice.sample(MUTANTS, size):
        noticed = notices(mutant)
        sys.stderr.write(f"  {'killed   ' if noticed else 'SURVIVING'} {mutant.name}: {noticed or mutant.rows}\n")
        if noticed is None:  # and on to the next: all survivors are to be known
            report.violations.append(f"SURVIVING: {mutant.name} ({mutant.module}), not noticed by {mutant.rows}")
        report.trial()
