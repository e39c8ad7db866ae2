"""Private: modes, links, ids that lead elsewhere, and secrets that must not show."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import logging
import os
import pickle
import random
import shutil
import stat
import traceback
from pathlib import Path
from typing import Any

import rolloutlog
from rolloutlog import Message, RolloutHandler, RolloutRecorder, exceptions

from .fakes import FakeSystem, Fault
from .harness import Report, fork, reap, row, scratch
from .seam import heard, open_recorder

_UMASKS = (0o000, 0o022, 0o027, 0o077, 0o777)
_SECRET = "sk-abc123-do-not-show"


def _modes(home: Path) -> dict[str, int]:
    """Return the mode of everything in *home*, which is one of them, by its path."""
    every = [home, *home.rglob("*")]
    return {str(each.relative_to(home.parent)): stat.S_IMODE(each.lstat().st_mode) for each in every}


@row("private.modes", "files 0600, folders 0700 at every level, under any umask", quick=20, full=100, long=500)
def modes(report: Report, size: int, dice: random.Random) -> None:
    """Every way to begin a session, under five umasks; and to begin one again after the folders are gone."""

    def child(umask: int, way: int, home: Path) -> None:
        os.umask(umask)
        if way == 0:
            RolloutRecorder.create(home).close()
        elif way == 1:
            rolloutlog.session("private", home=home).close()
        elif way == 2:
            RolloutRecorder.create(home, shared=True, fsync="always").close()
        else:
            system = FakeSystem(most_pieces=2)
            recorder = open_recorder(home, system)
            os.umask(0o077)
            shutil.rmtree(home)
            os.umask(umask)
            recorder.record({"role": "user", "content": "again"})
            recorder.close()

    for trial in range(size):
        umask, way = _UMASKS[trial % 5], trial // 5 % 4
        with scratch() as folder, heard():
            home = folder / "deep" / "home"
            status = reap(fork(functools.partial(child, umask, way, home)), 30)
            report.expect(status == 0, f"umask {umask:03o}, way {way}: failed, see above")
            for name, mode in _modes(folder / "deep").items():
                wanted = 0o600 if name.endswith((".jsonl", ".lock")) else 0o700
                report.expect(mode == wanted, f"umask {umask:03o}, way {way}: {name} has {mode:03o}")
        report.trial()


@row("private.links", "links and other files in the way are never written through", quick=8, full=40, long=200)
def links(report: Report, size: int, dice: random.Random) -> None:
    """A stranger plants a link, a FIFO or a device where the rollout is, or will be opened."""
    for trial in range(size):
        with scratch() as folder:
            target = folder / "target"
            with RolloutRecorder.create(folder / "home") as recorder:
                path = recorder.path
            path.rename(target)
            before = target.read_bytes()
            plant = trial % 4
            if plant == 0:
                path.symlink_to(target)
            elif plant == 1:
                path.symlink_to(folder / "nothing")
            elif plant == 2:
                os.mkfifo(path)
            else:
                path.mkdir()
            try:
                opened, _ = RolloutRecorder.resume(path)
                opened.record({"role": "user", "content": "x"})
                opened.close()
            except (OSError, exceptions.RolloutError):
                pass
            else:
                report.expect(False, f"plant {plant}: taken for a session")
            report.expect(target.read_bytes() == before, f"plant {plant}: written through")
            report.expect(not (folder / "nothing").exists(), f"plant {plant}: made through a link")
        report.trial()


_IDS = ("../../x", "/etc/passwd", "..", "a/b", "\x00", "", ".", "%2e%2e", "0" * 36, "..\\..", "-" * 36,
        "ÀÁ", "é" * 36,         "00000000-0000-0000-0000-00000000000/", "00000000-0000-0000-0000-000000000000\n",
        "00000000-0000-0000-0000-000000000000/../x")  # fmt: skip


@row("private.ids", "no id leads out of the home", quick=200, full=5_000, long=100_000)
def ids(report: Report, size: int, dice: random.Random) -> None:
    """Ids that try to, as the id of a new session and of one to resume."""
    with scratch() as folder:
        home = folder / "home"
        home.mkdir()
        marker = folder / "outside"
        marker.write_text("untouched")
        for trial in range(size):
            bad = (
                _IDS[trial % len(_IDS)]
                if trial < 64
                else "".join(dice.choices("./\\0af-~\x00\n", k=dice.randrange(40)))
            )
            try:
                RolloutRecorder.create(home, session_id=bad).close()
            except ValueError:
                pass
            except Exception as error:
                report.expect(False, f"{bad!r}: {error!r}")
            try:
                RolloutRecorder.resume(bad, home=home)[0].close()
            except (exceptions.RolloutError, OSError, ValueError):
                pass
            report.trial()
        outside = {each.name for each in folder.iterdir()}
        report.expect(outside == {"home", "outside"}, f"made outside of the home: {outside}")
        for each in home.rglob("*.jsonl"):
            report.expect(each.name.endswith("0" * 8 + ".jsonl") or "rollout-" in each.name, f"odd: {each.name!r}")


@row("private.redact", "a hook that raises, or returns nonsense, fails closed", quick=40, full=400, long=4_000)
def redact(report: Report, size: int, dice: random.Random) -> None:
    """The secret goes in by every way; the hook fails in many ways; the file does not have it."""

    def raises(record: dict[str, Any]) -> Any:
        raise ValueError(f"cannot redact {record}")

    def nested(record: dict[str, Any]) -> Any:
        record["more"] = {_SECRET: object()}
        return record

    hooks: list[Any] = [
        raises,
        nested,
        lambda record: _SECRET,
        lambda record: [_SECRET],
        lambda record: 1 / 0,
        lambda record: {"type": "message", "role": {_SECRET}},
        lambda record: {"record_type": _SECRET, "type": object()},
    ]
    for trial in range(size):
        hook = hooks[trial % len(hooks)]
        stderr = io.StringIO()
        with scratch() as home, heard() as said, contextlib.redirect_stderr(stderr):
            handler = RolloutHandler(home, redact=hook, instructions=_SECRET, meta={"key": _SECRET})
            logger = logging.Logger("private")
            logger.addHandler(handler)
            logger.info(Message.user(_SECRET))
            logger.info("plain %s", _SECRET, extra={"key": _SECRET})
            try:
                raise KeyError(_SECRET)
            except KeyError:
                logger.exception("failed")
            assert handler.recorder is not None
            for record in (
                lambda recorder=handler.recorder: recorder.record({"role": "user", "content": _SECRET}),
                lambda recorder=handler.recorder: recorder.record_state({"key": _SECRET}),
            ):
                try:
                    record()
                except exceptions.RedactionError as error:
                    said.append("".join(traceback.format_exception(error)))
                else:
                    report.expect(False, f"hook {trial % len(hooks)}: recording does not raise")
            handler.close()
            content = handler.recorder.path.read_bytes().decode()
            report.expect(_SECRET not in content, f"hook {trial % len(hooks)}: the secret is in the file:\n{content}")
            report.expect("withheld" in content, f"hook {trial % len(hooks)}: the file says nothing")
            report.expect(_SECRET not in "".join(said) + stderr.getvalue(), f"hook {trial % len(hooks)}: in our log")
        report.trial()


@row("private.words", "no record's text in any error, repr or log of ours", quick=40, full=400, long=4_000)
def words(report: Report, size: int, dice: random.Random) -> None:
    """Everything that goes wrong with a secret in hand: what is raised, shown and logged does not have it."""
    for trial in range(size):
        system = FakeSystem(most_pieces=2)
        with scratch("/dev/shm") as home, heard() as said:
            options: dict[str, Any] = dice.choice([{}, {"on_full": "raise", "queue_size": 1}, {"fsync": "always"}])
            recorder = open_recorder(home, system, inline=True, **options)
            shown: list[str] = []

            def attempt(call: Any, *args: Any, shown: list[str] = shown) -> None:
                try:
                    shown.append(repr(call(*args)))
                except Exception as error:
                    shown.append("".join(traceback.format_exception_only(error)) + repr(error))
                    shown.append(repr(pickle.loads(pickle.dumps(error))))

            system.arm(Fault(dice.choice(["write", "lseek", "fstat"]), 1, errno.EIO, True))
            item = {"role": "user", "content": _SECRET}
            bad_items: list[Any] = [
                item,
                {"role": "user", "content": [_SECRET]},
                {"type": "odd", "text": _SECRET, "x": object()},
                [_SECRET],
                _SECRET,
                {"role": "user", "content": _SECRET, "extra": {1: _SECRET}},
                {"type": "message", "role": _SECRET},
            ]
            for bad in bad_items:
                attempt(recorder.record, bad)
            attempt(recorder.record_state, {"key": {_SECRET}})
            attempt(recorder.flush)
            attempt(lambda recorder: recorder, recorder)
            attempt(getattr, recorder, "stats")
            attempt(Message.user, f"{'x' * 200}{_SECRET}")
            system.heal()
            recorder.close()
            recorder.path.write_bytes(
                recorder.path.read_bytes() + b'{"type":"message","role":"' + _SECRET.encode() + b'"\n'
            )
            attempt(rolloutlog.load_session, recorder.path)
            attempt(getattr, rolloutlog.load_session(recorder.path), "skipped")
            recorder.path.write_bytes(_SECRET.encode())
            attempt(rolloutlog.load_session, recorder.path)
            attempt(recorder.record, item)
            leaks = [each for each in [*shown, *said] if _SECRET in each]
            report.expect(not leaks, f"trial {trial}: {leaks[:2]}")
        report.trial()
