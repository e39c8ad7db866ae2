"""The harness itself: a program in the cage reaches only the scripted model, ends in time, and is the pinned one."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import cage
import pytest
from codex import says
from releases import FLAT, FetchError, check_digest, unpack

# A program that asks the model as often as its first argument says, and prints the types of the events.
CLIENT = """
import json, sys, urllib.request
for _ in range(int(sys.argv[1])):
    body = json.dumps({"input": []}).encode()
    with urllib.request.urlopen(urllib.request.Request(open("config").read(), body)) as answer:
        print(answer.read().decode(), flush=True)
"""
PROGRAM = "package/bin/x-x86_64-apple-darwin"
ADDRESS = f"http://127.0.0.1:{cage.PORT}/v1/responses"


def order(folder: Path, command: list[str], **options: object) -> cage.Order:
    """Return an order to run Python with *command*."""
    plain = {"env": {}, "cwd": str(folder), "config": (str(folder / "config"), ADDRESS), "replies": []}
    return cage.Order(command=[sys.executable, *command], **{**plain, **options})  # type: ignore[arg-type]


def test_replies_come_in_the_order_of_the_script(tmp_path: Path) -> None:
    """Each request is kept and gets the next reply of the script; one too many gets a message that says so."""
    outcome = cage.run(order(tmp_path, ["-c", CLIENT, "3"], replies=[[says("first")], [says("second")]]))

    answers = [text for text in ("first", "second", "no further reply") if text in outcome.stdout]
    assert answers == ["first", "second", "no further reply"]
    assert outcome.requests == [{"input": []}] * 3
    assert outcome.returncode == 0


def test_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    """A program that exceeds its time limit is killed, and the outcome says so."""
    outcome = cage.run(order(tmp_path, ["-c", "import threading; threading.Event().wait()"], seconds=0.3))

    assert outcome.timed_out
    assert outcome.returncode == -9


def test_a_program_is_killed_while_the_model_thinks(tmp_path: Path) -> None:
    """With kill_when_stalled, a reply of None ends the program as soon as it waits for it, long before its limit."""
    outcome = cage.run(order(tmp_path, ["-c", CLIENT, "2"], replies=[[says("first")], None], kill_when_stalled=True))

    assert outcome.returncode == -9
    assert not outcome.timed_out
    assert len(outcome.requests) == 2


@pytest.mark.skipif(not cage.way_in(), reason="network namespaces are not allowed here")
def test_a_program_is_alone_on_loopback(tmp_path: Path) -> None:
    """In a namespace there is no interface but loopback."""
    outcome = cage.run(order(tmp_path, ["-c", "import socket; print(socket.if_nameindex())"]))

    assert outcome.stdout == "[(1, 'lo')]\n"
    assert outcome.alone


def test_what_is_not_the_pinned_archive_is_refused(tmp_path: Path) -> None:
    """An archive with another digest raises FetchError before anything is unpacked."""
    packed = tmp_path / "package.tgz"
    packed.write_bytes(b"something else")

    with pytest.raises(FetchError, match="is pinned"):
        check_digest(packed, FLAT.archives["linux-x64"].sha512)


def test_unpacking_stays_in_its_folder(tmp_path: Path) -> None:
    """Files that would leave the folder, links, and files for other platforms are not unpacked."""
    (tmp_path / "file").write_bytes(b"x")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        for name in ("package/../../escaped", "/package/absolute", PROGRAM, "package/bin/x-aarch64-apple-darwin"):
            member = archive.gettarinfo(tmp_path / "file", name)
            member.name, member.mode = name, 0o755
            with (tmp_path / "file").open("rb") as stream:
                archive.addfile(member, stream)
        link = tarfile.TarInfo("package/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)

    unpack(tmp_path / "package.tgz", tmp_path / "unpacked", PROGRAM.removeprefix("package/"))

    assert [path.name for path in (tmp_path / "unpacked").rglob("*")] == [
        "bin",
        "x-x86_64-apple-darwin",
    ]
    assert (tmp_path / "unpacked/bin/x-x86_64-apple-darwin").stat().st_mode & 0o777 == 0o755


def test_a_release_that_is_not_there_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing was fetched, the reason to skip names the release and the command that fetches it."""
    monkeypatch.setenv("ROLLOUTLOG_INTEROP_DIR", str(tmp_path))

    assert "0.20.0" in str(FLAT.missing())
    assert "make interop" in str(FLAT.missing())
