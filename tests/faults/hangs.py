"""Never hangs: signals, Ctrl-C, finalizers, forks, a stuck disk and every way in which an interpreter ends.

Each storm is a program of its own, watched from outside: what does not end in time hangs, and its stacks are shown.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap

from . import checker
from .harness import Report, Skip, python_path, row, scratch, uncaught_in
from .kill import rollout

# The beginning of each storm. A storm that works says how many events it saw.
_HEAD = """
import faulthandler, gc, logging, multiprocessing, os, random, signal, sys, threading, time
import rolloutlog
from rolloutlog.exceptions import RolloutError, RecorderClosedError
from pathlib import Path
from faults import checker, fakes, seam
home, size, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
dice = random.Random(seed)
faulthandler.register(signal.SIGUSR2, all_threads=True)
def say(word, count):
    os.write(1, f"{word} {count}\\n".encode())
"""

_SIGNALS = """
recorder = rolloutlog.RolloutRecorder.create(home)
handler = rolloutlog.RolloutHandler(recorder=recorder)
logger = logging.getLogger("agent")
logger.addHandler(handler); logger.propagate = False; logger.setLevel(logging.INFO)
events = acks = depth = 0
def on_signal(number, frame):
    global depth
    if depth < 3:  # handlers interrupt each other, too, but not without end
        depth += 1
        use()
        depth -= 1
    signal.setitimer(signal.ITIMER_REAL, 50e-6)
def use():
    global events, acks
    events += 1
    kind = events % 5
    if kind == 0:
        recorder.record(checker.message(f"signal{events}", 0)); acks += 1
    elif kind == 1:
        recorder.request_flush().wait(0.001)
    elif kind == 2:
        logger.info("from the handler %d", events)
    elif kind == 3:
        recorder.flush(timeout=10)
    else:
        ack.wait(0.0005)
signal.signal(signal.SIGALRM, on_signal)
ack = recorder.request_flush()
signal.setitimer(signal.ITIMER_REAL, 50e-6)
number = 0
while events < size:
    for _ in range(20):
        recorder.record(checker.message("main", number)); number += 1
    logger.info("from the main thread")
    ack = recorder.request_flush()
    ack.wait(10)
    recorder.flush(timeout=10)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
recorder.close(timeout=20)
say("main", number); say("events", events)
if acks != sum(name.startswith("signal") for name in checker.read(recorder.path).numbers):
    raise AssertionError("records of the handler are missing")
"""

_CTRL_C = """
# One thread pokes; the main thread runs every public call, and goes on after each interrupt.
interrupts = 0
begun = 0
over = threading.Event()
recorder = rolloutlog.RolloutRecorder.create(home, queue_size=16)
handler = rolloutlog.RolloutHandler(recorder=recorder)
logger = logging.getLogger("agent")
logger.addHandler(handler); logger.propagate = False; logger.setLevel(logging.INFO)
def poke():
    while not over.is_set():
        time.sleep(random.uniform(0, 0.0005))
        os.kill(os.getpid(), signal.SIGINT)
def calls():
    number = 0
    while True:
        yield lambda: recorder.record(checker.message("main", begun))
        yield lambda: recorder.record_state({"n": 1})
        yield lambda: logger.info("a plain record")
        yield lambda: recorder.request_flush().wait(0.01)
        yield lambda: recorder.flush(timeout=10)
        yield lambda: recorder.stats
        number += 1
        if number % 50 == 0:
            yield lambda: rolloutlog.RolloutRecorder.resume(recorder.path, queue_size=16)[0].close(timeout=10)
            yield lambda: rolloutlog.RolloutRecorder.create(home + "2").close(timeout=10)
            yield lambda: rolloutlog.load_session(recorder.path)
            gc.collect()
signal.signal(signal.SIGINT, signal.default_int_handler)
thread = threading.Thread(target=poke, daemon=True)
import warnings; warnings.simplefilter("ignore")
def storm():
    global interrupts, begun
    steps = calls()
    while interrupts < size:
        try:
            step = next(steps)
            step()
            begun += 1
        except KeyboardInterrupt:
            interrupts += 1
            begun += 1
            steps = calls() if steps.gi_frame is None else steps
        except RecorderClosedError:
            raise
while True:
    try:
        if not thread.ident: thread.start()
        storm()
        over.set(); signal.signal(signal.SIGINT, signal.SIG_IGN)
        break
    except KeyboardInterrupt:
        interrupts += 1
thread.join(10)
recorder.flush(timeout=20)
recorder.record(checker.message("last", 0))
recorder.close(timeout=20)
say("last", 1); say("events", interrupts)
"""

_FINALIZERS = """
# Cycles whose finalizers record and flush, collected in the middle of everything.
recorder = rolloutlog.RolloutRecorder.create(home, queue_size=64)
logger = logging.getLogger("agent")
logger.addHandler(rolloutlog.RolloutHandler(recorder=recorder)); logger.propagate = False; logger.setLevel(logging.INFO)
events = 0
class Loud:
    def __init__(self): self.me = self
    def __del__(self):
        global events
        events += 1
        logger.info("finalized")
        if events % 50 == 0:
            recorder.request_flush().wait(0.01)
gc.set_threshold(20, 2, 2)
number = 0
while events < size:
    for _ in range(10):
        Loud()
        recorder.record(checker.message("main", number)); number += 1
    recorder.flush(timeout=20)
gc.set_threshold(0)
recorder.close(timeout=20)
say("main", number); say("events", events)
"""

_REDACT = """
# The hook logs, to the very handler that called it, and records.
logger = logging.getLogger("agent")
events = 0
def redact(record):
    global events
    events += 1
    logger.info("redacting")
    if events % 3 == 0:
        handler.recorder and handler.recorder.stats
    return record
handler = rolloutlog.RolloutHandler(home, redact=redact)
logger.addHandler(handler); logger.propagate = False; logger.setLevel(logging.INFO)
number = 0
while events < size:
    logger.info(rolloutlog.Message.user(checker.text("main", number))); number += 1
handler.close()
say("main", number); say("events", events)
"""

_FORKS = """
# Threads hammer while the process forks; each child uses what it inherited, in one way or another, and ends.
shared = rolloutlog.RolloutRecorder.create(home, shared=True)
own = rolloutlog.RolloutRecorder.create(home + "-own")
handler = rolloutlog.RolloutHandler(home + "-handler")
logger = logging.getLogger("agent")
logger.addHandler(handler); logger.propagate = False; logger.setLevel(logging.INFO)
over = threading.Event()
counts = {}
def hammer(name):
    counts[name] = 0
    while not over.is_set():
        shared.record(checker.message(name, counts[name])); counts[name] += 1
        own.record(checker.message(name, counts[name]))
        logger.info("hammering")
        if counts[name] % 100 == 0:
            shared.flush(timeout=20)
threads = [threading.Thread(target=hammer, args=(f"t{n}",)) for n in range(3)]
for thread in threads: thread.start()
hung = 0
for event in range(size):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(15)
            kind = event % 4
            if kind != 1:
                shared.record(checker.message(f"c{event}", 0))
            if kind == 2:
                shared.flush(timeout=10)
            try:
                own.record(checker.message("child", 0))
            except RolloutError:
                pass
            logger.info("from a child")
            if kind == 3:
                handler.flush()
            shared.close(timeout=10)
            handler.close()
            status = 0
        finally:
            os._exit(status)
    done, status = os.waitpid(pid, 0)
    if status:
        hung += 1
        sys.stderr.write(f"child {event} ended with {status}\\n")
over.set()
for thread in threads: thread.join(20)
shared.close(timeout=20); own.close(timeout=20); handler.close()
for name, count in counts.items(): say(name, count)
say("hung", hung); say("events", size)
"""

_MULTIPROCESSING = """
def work(path, number):
    recorder, _ = rolloutlog.RolloutRecorder.resume(path, shared=True, lock_timeout=20)
    recorder.record(*(checker.message(f"w{number}", n) for n in range(50)))
    # no flush, no close: the end of the process must do
if __name__ == "__main__":
    recorder = rolloutlog.RolloutRecorder.create(home, shared=True)
    recorder.record(checker.message("main", 0))
    number = 0
    for method in ("fork", "forkserver", "spawn"):
        context = multiprocessing.get_context(method)
        for _ in range(max(1, size // 12)):
            workers = [context.Process(target=work, args=(recorder.path, number + n)) for n in range(4)]
            number += 4
            for worker in workers: worker.start()
            for worker in workers:
                worker.join(30)
                if worker.exitcode != 0: say("hung", 1)
    recorder.close(timeout=20)
    for n in range(number): say(f"w{n}", 50)
    say("main", 1); say("events", number)
"""

_STUCK = """
# The disk does not answer: each wait ends by its timeout, and what was taken is written when it answers again.
answer = threading.Event()
system = fakes.FakeSystem()
recorder = seam.open_recorder(Path(home), system, queue_size=8)
recorder.flush()
def before(name, arguments):
    if name == "write" and not answer.is_set():
        answer.wait(60)
events = taken = 0
system.watch = before
def bounded(call, *errors):
    global events
    events += 1
    begin = time.monotonic()
    try:
        call()
    except errors:
        pass
    else:
        raise AssertionError(f"{call} says that all is well")
    if time.monotonic() - begin > 10:
        raise AssertionError(f"{call} took {time.monotonic() - begin} s")
recorder.record(checker.message("main", 0)); taken = 1
refused = 0
while refused < 3:
    if taken > 100: raise AssertionError("the queue has no bound")
    try:
        recorder.record(checker.message("main", taken), timeout=0.05)
        taken += 1
    except rolloutlog.exceptions.QueueFullError:
        refused += 1; events += 1
bounded(lambda: recorder.flush(timeout=0.2), TimeoutError)
bounded(lambda: recorder.request_flush().result(0.2), TimeoutError)
ended = recorder.shutdown()
bounded(lambda: recorder.close(timeout=0.2), TimeoutError)
bounded(lambda: recorder.record(checker.message("late", 0)), RecorderClosedError)
answer.set()
recorder.close(timeout=20)
say("main", taken); say("events", events)
"""

# Ways to end with records in the queue; all but the last must bring them to disk.
_EXITS = {
    "end of the program": "",
    "sys.exit": "sys.exit(0)",
    "an error": "sys.stderr = open(os.devnull, 'w'); raise LookupError",
    "logging.shutdown twice": "logging.shutdown(); logging.shutdown()",
    "records in atexit": "import atexit; atexit.register(more)",
    "records in a finalizer at the end": """
class Late:
    def __del__(self): more()
late = Late(); late.me = late
sys.late = late
""",
    "a daemon thread that goes on": """
def forever():
    n = 0
    while True:
        try: recorder.record(checker.message("daemon", n)); n += 1
        except RolloutError: return
threading.Thread(target=forever, daemon=True).start()
""",
    "a thread that outlives main": """
def outlive():
    time.sleep(0.1); more()
threading.Thread(target=outlive).start()
""",
    "Ctrl-C": "sys.stderr = open(os.devnull, 'w'); raise KeyboardInterrupt",
    "a handler never closed": """
logger = logging.getLogger("agent"); logger.propagate = False; logger.setLevel(logging.INFO)
logger.addHandler(rolloutlog.RolloutHandler(home + "-2")); logger.info("x")
""",
    "an ack that nobody waits for": "recorder.shutdown()",
    "a slow disk": """
slow = write_through(fakes.FakeSystem())
naps = iter([0.3] * 5)
slow.watch = lambda name, arguments: name == "write" and time.sleep(next(naps, 0))
more(); say("main", number); sys.exit(0)
""",
    "a write that is held until the end begins": """
import atexit
recorder.flush()
ends = threading.Event()
atexit.register(ends.set)  # runs just before the hook that writes what is left
held = write_through(fakes.FakeSystem())
held.watch = lambda name, arguments: name == "write" and ends.wait(60)
more(); say("main", number)
""",
    "a full disk": """
import errno
recorder.flush()
failing = write_through(fakes.FakeSystem())
failing.arm(fakes.Fault("write", 1, errno.ENOSPC, True)); recorder.record({"role": "user", "content": "no room"})
logging.getLogger("rolloutlog").addHandler(logging.NullHandler()); logging.getLogger("rolloutlog").propagate = False
""",
}

_EXIT = """
recorder = rolloutlog.RolloutRecorder.create(home)
def write_through(system):
    journal = recorder._writer.journal
    journal._system = journal._file._system = system
    return system
number = 0
def more():
    global number
    for _ in range(100):
        recorder.record(checker.message("main", number)); number += 1
more()
say("main", number)
"""


def _storm(report: Report, name: str, program: str, size: int, seed: int, *, seconds: float) -> dict[str, int]:
    """Run *program* in an interpreter of its own; return what it said, and note what it did wrong."""
    with scratch() as folder:
        script = folder / "storm.py"  # a file, for the children of multiprocessing to import
        script.write_text(_HEAD + program)
        command = [sys.executable, str(script), str(folder / "home"), str(size), str(seed)]
        storm = subprocess.Popen(command, env=python_path(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = storm.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            storm.send_signal(signal.SIGUSR2)
            try:
                out, err = storm.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                storm.kill()
                out, err = storm.communicate()
            report.expect(False, f"{name} hangs (seed {seed}):\n{_last(err)}")
            return {}
        report.expect_none(uncaught_in(err, interrupted=name == "ctrl_c"), f"{name} (seed {seed})")
        said = {word.decode(): int(count) for word, count in map(bytes.split, out.splitlines())}
        if storm.returncode != 0 and "an error" not in name and "Ctrl-C" not in name:
            report.expect(False, f"{name} (seed {seed}) ended with {storm.returncode}:\n{_last(err)}")
        report.expect(not said.pop("hung", 0), f"{name} (seed {seed}): a child hangs:\n{_last(err)}")
        events = said.pop("events", 1)
        report.trial(events)
        found = checker.read(rollout(folder / "home"))
        wrong = [each for each in checker.problems(found, said) if not _is_other(each, said)]
        report.expect_none(wrong, f"{name} (seed {seed})")
        return said


def _is_other(problem: str, said: dict[str, int]) -> bool:
    """Return whether *problem* is about records of which the storm does not know what became: interrupted ones."""
    return problem.partition(":")[0] not in said and problem.startswith("main:")


def _last(err: bytes) -> str:
    return textwrap.indent(err.decode(errors="replace")[-3_000:], "      ")


def _needs_interpreter_lock() -> None:
    """Skip a row where the interpreter runs without its lock: the page of promises says which, and why."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise Skip("not promised on free-threaded Python")


@row("hangs.signals", "signal handlers record, flush and wait amid all that", quick=1_500, full=20_000, long=100_000)
def signals(report: Report, size: int, dice: random.Random) -> None:
    """Thousands of signals a second, whose handler uses the recorder that the main thread is in."""
    _needs_interpreter_lock()
    _storm(report, "signals", _SIGNALS, size, dice.randrange(10**9), seconds=60 + size / 200)


@row("hangs.ctrl_c", "Ctrl-C inside every public call: goes on afterwards", quick=500, full=10_000, long=100_000)
def ctrl_c(report: Report, size: int, dice: random.Random) -> None:
    """An interrupt every quarter of a millisecond or so."""
    _needs_interpreter_lock()
    _storm(report, "ctrl_c", _CTRL_C, size, dice.randrange(10**9), seconds=60 + size / 50)


@row("hangs.finalizers", "__del__ that logs, wherever it happens to run", quick=3_000, full=30_000, long=100_000)
def finalizers(report: Report, size: int, dice: random.Random) -> None:
    """The collector runs finalizers in the middle of a put, a flush, a wait."""
    _needs_interpreter_lock()
    _storm(report, "finalizers", _FINALIZERS, size, dice.randrange(10**9), seconds=60 + size / 100)


@row("hangs.redact", "a redact hook that logs", quick=500, full=10_000, long=100_000)
def redact(report: Report, size: int, dice: random.Random) -> None:
    """The hook logs to the handler that called it."""
    _storm(report, "redact", _REDACT, size, dice.randrange(10**9), seconds=60 + size / 100)


@row("hangs.forks", "fork with threads hammering: children end, the parent goes on", quick=24, full=400, long=1_000)
def forks(report: Report, size: int, dice: random.Random) -> None:
    """Children record, flush, or do nothing with what they inherited."""
    _needs_interpreter_lock()
    _storm(report, "forks", _FORKS, size, dice.randrange(10**9), seconds=60 + size)


@row("hangs.multiprocessing", "workers by fork, forkserver, spawn end with all on disk", quick=12, full=48, long=240)
def multiprocessing(report: Report, size: int, dice: random.Random) -> None:
    """Workers record and end without a flush or a close."""
    _storm(report, "multiprocessing", _MULTIPROCESSING, size, dice.randrange(10**9), seconds=60 + 5 * size)


@row("hangs.stuck", "a disk that does not answer: every wait ends by its timeout", quick=1, full=5, long=20)
def stuck(report: Report, size: int, dice: random.Random) -> None:
    """A write that does not return."""
    for _ in range(size):
        _storm(report, "stuck", _STUCK, 1, dice.randrange(10**9), seconds=60)


@row("hangs.exits", "the interpreter ends in every way, and all is on disk", quick=14, full=70, long=700)
def exits(report: Report, size: int, dice: random.Random) -> None:
    """Ends with records in the queue; a full disk ends within the bound, too."""
    for trial in range(size):
        name, ending = list(_EXITS.items())[trial % len(_EXITS)]
        _storm(report, f"exit: {name}", _EXIT + ending, 1, dice.randrange(10**9), seconds=60)
