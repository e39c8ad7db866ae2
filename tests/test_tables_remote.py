"""Homes on object storage: the same rows as from a folder, from a real S3 server on this machine."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from fleet_corpus import build
from helpers import DEADLINE, eventually

from rolloutlog import tables
from rolloutlog._reading.blocks import _zstd
from rolloutlog.exceptions import MissingExtraError
from rolloutlog.tables import _remote

pytestmark = pytest.mark.extras
arrow = pytest.importorskip("pyarrow")
obstore = pytest.importorskip("obstore")
if importlib.util.find_spec("moto") is None:  # to import it takes a second, and only the server needs it
    pytest.skip("moto is not installed", allow_module_level=True)

BUCKET = "rollouts"
META = '{"id":"5973b6c0-94b8-487b-a530-2aeb6098ae0e","timestamp":"2025-07-20T08:00:00.000Z","instructions":null}\n'
NAME = "sessions/2025/07/20/rollout-2025-07-20T08-00-00-5973b6c0-94b8-487b-a530-2aeb6098ae0e.jsonl"


def answers(process: subprocess.Popen[bytes], address: str) -> bool:
    """Return whether the server answers, or has ended."""
    try:
        urllib.request.urlopen(f"{address}/moto-api/", timeout=DEADLINE).close()
    except OSError:
        return process.poll() is not None
    return True


@pytest.fixture(scope="module")
def server():
    """The address of an S3 server, in a process of its own."""
    for _ in range(5):  # another program may take the port before the server does
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}"
        try:
            eventually(lambda process=process, address=address: answers(process, address))
            if process.poll() is not None:
                continue
            request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
            urllib.request.urlopen(request, timeout=DEADLINE).close()
            yield address
            return
        finally:
            process.kill()
            process.wait(DEADLINE)
    pytest.fail("the server ended at once, five times")


@pytest.fixture(autouse=True)
def credentials(server, monkeypatch):
    """The variables that a user sets for a server of their own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A home of sixty sessions, as a folder; with this seed, some have each shape that there is."""
    home = tmp_path_factory.mktemp("fleet")
    truth = build(home, 60, mean=300, seed=19, compressed=_zstd() is not None)
    assert len(truth.kinds) == 10 - (_zstd() is None)
    return home


@pytest.fixture
def url(fleet, server, credentials):
    """The same home in the bucket."""
    place = f"s3://{BUCKET}/fleets/one"
    store = obstore.store.from_url(place)
    if not any(obstore.list(store)):
        for path in files(fleet):
            obstore.put(store, str(path.relative_to(fleet)), path.read_bytes())
    return place


def files(home):
    return sorted(path for path in home.rglob("rollout-*") if path.is_file())


def rows(table, prefix):
    """Return the rows of *table*, with paths as from the home."""
    found = arrow.table(table).to_pylist()
    for row in found:
        row["path"] = row["path"].removeprefix(f"{prefix}/")
    return found


def facts(rows):
    """Return *rows* without what an object does not have."""
    return [{name: value for name, value in row.items() if name != "mtime"} for row in rows]


def put(server, name, data):
    """Put an object into a home of its own, and return the URL of that."""
    place = f"s3://{BUCKET}/{time.monotonic_ns()}"
    obstore.put(obstore.store.from_url(place), name, data)
    return place


def test_the_entries_of_a_bucket_are_those_of_the_folder(fleet, url):
    """Every row: so also each answer that is exact there."""
    assert rows(tables.entries(url), url) == rows(tables.entries(fleet), fleet)


def test_the_sessions_of_a_bucket_are_those_of_the_folder(fleet, url):
    """Except for the time of the last change, which is that of the object."""
    found = rows(tables.sessions(url), url)
    assert facts(found) == facts(rows(tables.sessions(fleet), fleet))
    assert all(row["mtime"] for row in found)


def test_sql_over_a_bucket(fleet, url):
    """The same answer as over the folder."""
    pytest.importorskip("duckdb")
    query = "SELECT name, count(*) AS calls, count(*) FILTER (is_error) AS failed FROM calls GROUP BY ALL ORDER BY name"
    assert tables.sql(query, url).to_pylist() == tables.sql(query, fleet).to_pylist()


def test_the_shares_of_workers_are_urls_that_can_be_sent(fleet, url):
    """And together they are the whole."""
    shares = pickle.loads(pickle.dumps(tables.plan(url, bytes=1 << 18)))

    found = [row for share in shares for batch in tables.batches(share) for row in batch.to_pylist()]

    assert len(shares) > 3
    assert all(path.startswith(f"{url}/sessions/") for share in shares for path in share)
    key = lambda row: (row["path"], row["line"] or 0)  # noqa: E731
    for row in found:
        row["path"] = row["path"].removeprefix(f"{url}/")
    assert sorted(found, key=key) == sorted(rows(tables.entries(fleet), fleet), key=key)


def test_a_store_of_obstore_is_a_home(fleet, url):
    """Then paths are names in the store."""
    store = obstore.store.from_url(url)
    assert rows(tables.entries(store), url) == rows(tables.entries(fleet), fleet)
    (share,) = tables.plan(store, bytes=1 << 40)
    found = sum(batch.num_rows for batch in tables.batches(share, store=store))
    assert found == len(rows(tables.entries(fleet), fleet))


def test_a_file_system_of_fsspec_is_a_home(fleet):
    """One that begins at the home."""
    directory = pytest.importorskip("fsspec.implementations.dirfs").DirFileSystem
    local = pytest.importorskip("fsspec.implementations.local").LocalFileSystem
    system = directory(str(fleet), local())
    assert rows(tables.entries(system), fleet) == rows(tables.entries(fleet), fleet)
    assert facts(rows(tables.sessions(system), fleet)) == facts(rows(tables.sessions(fleet), fleet))


def test_fsspec_reads_a_url_where_obstore_is_not_installed(fleet, url, monkeypatch):
    """The same bucket, by s3fs."""
    pytest.importorskip("s3fs")
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    assert rows(tables.entries(url), url) == rows(tables.entries(fleet), fleet)


def test_sixteen_objects_are_fetched_at_once(fleet, url, monkeypatch):
    """Each of the first sixteen waits until all have begun."""
    together = threading.Barrier(_remote.AT_ONCE)
    begun = iter(range(_remote.AT_ONCE))
    fetch = _remote.Remote._fetch

    def waiting(self, name, folder):
        if next(begun, None) is not None:
            together.wait(DEADLINE)
        return fetch(self, name, folder)

    monkeypatch.setattr(_remote.Remote, "_fetch", waiting)
    assert sum(batch.num_rows for batch in tables.entries(url, kinds={"tool_call"}).batches()) > 100
    assert _remote.AT_ONCE >= 16


def test_each_object_is_fetched_once(url, monkeypatch):
    """Compressed ones and forks, too; only files in which the history of a fork begins are fetched for it again."""
    fetched = []
    fetch = _remote.Remote._fetch

    def counted(self, name, folder):
        fetched.append(name)
        return fetch(self, name, folder)

    monkeypatch.setattr(_remote.Remote, "_fetch", counted)
    for _ in tables.entries(url, kinds={"message", "usage"}).batches():
        pass
    assert sorted(fetched) == sorted(file.name for file in _remote.Remote(url).files())


def test_an_object_that_cannot_be_fetched_is_a_row_and_costs_no_other(server):
    """It was removed since it was listed."""
    home = put(server, NAME, META.encode())
    gone = f"{home}/{NAME}".replace("T08", "T09")

    found = [row for batch in tables.batches([gone, f"{home}/{NAME}"]) for row in batch.to_pylist()]

    assert [(row["kind"], row["type"]) for row in found] == [("skipped", "file"), ("session", "session_meta")]
    assert found[0]["text"].startswith(f"{gone} cannot be fetched: ")
    assert "\n" not in found[0]["text"]
    assert found[0]["session_id"] == found[1]["session_id"]


@pytest.mark.skipif(_zstd() is None, reason="needs the extra zstd")
def test_an_object_that_was_compressed_since_it_was_listed_is_read(server):
    """Codex compresses idle sessions at any time."""
    home = put(server, f"{NAME}.zst", _zstd().compress(META.encode()))
    found = [row for batch in tables.batches([f"{home}/{NAME}"]) for row in batch.to_pylist()]
    assert [(row["kind"], row["path"]) for row in found] == [("session", f"{home}/{NAME}.zst")]


def test_an_object_that_is_no_session_is_a_row(server):
    """With the reason that a file would have."""
    found = arrow.table(tables.entries(put(server, NAME, b"oops\n"))).to_pylist()
    assert [row["text"] for row in found] == ["no session meta in the first line: is not JSON"]


def test_a_bucket_that_cannot_be_listed_is_an_error():
    """When rows are asked for; it names the place."""
    with pytest.raises(OSError, match="s3://no-such-bucket/sessions cannot be listed: "):
        list(tables.entries("s3://no-such-bucket").batches())


def test_an_empty_bucket_has_no_rows(server):
    """As an empty folder has none."""
    assert arrow.table(tables.entries(f"s3://{BUCKET}/nothing")).num_rows == 0
    assert arrow.table(tables.sessions(f"s3://{BUCKET}/nothing")).num_rows == 0
    assert tables.plan(f"s3://{BUCKET}/nothing") == []


def test_only_objects_that_were_begun_since_are_fetched(fleet, url):
    """By their names."""
    since = dt.date(2026, 1, 1)
    assert rows(tables.entries(url, since=since), url) == rows(tables.entries(fleet, since=since), fleet)


def test_nothing_is_left_on_the_disk(url, tmp_path, monkeypatch):
    """Neither after all rows, nor after an engine that stopped early."""
    monkeypatch.setattr(_remote.tempfile, "tempdir", str(tmp_path))
    list(tables.entries(url, kinds={"usage"}).batches())
    some = tables.entries(url, kinds={"usage"}).batches()
    next(some)
    some.close()
    assert os.listdir(tmp_path) == []


def test_what_is_no_home_is_refused():
    """With the kinds that there are."""
    with pytest.raises(TypeError, match="home must be a path, a URL or a store; got int"):
        tables.entries(5)


def test_without_a_store_the_error_says_what_to_install(monkeypatch):
    """As soon as a table is asked for."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rolloutlog\[remote\]'"):
        tables.entries("s3://somewhere")


def test_a_copy_is_made_of_folders():
    """A URL would be the name of a folder beside the program."""
    with pytest.raises(ValueError, match="copy takes folders; got 's3://somewhere'"):
        tables.copy("s3://somewhere")
    assert not Path("s3:").exists()
