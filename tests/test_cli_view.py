"""`rolloutlog view`: who may see sessions, what the pages hold, a session that is followed, and how it ends."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import hostile
import pytest
import tide

pytest.importorskip("nh3", reason="the extra `cli` is not installed")
pytest.importorskip("jinja2")
pytest.importorskip("starlette", reason="the extra `view` is not installed")
pytest.importorskip("uvicorn")

from commands import run, run_apart
from commands import start as start_command
from helpers import DEADLINE, eventually, finish, hear, start, tell
from test_page import ATTRIBUTES, ELEMENTS, Elements
from test_reader import GOLDEN, REAL
from test_transcript import call, output
from test_view import CHILD, PARENT, meta, model, user

import rolloutlog
from rolloutlog._cli.view import command
from rolloutlog._face.live import followed
from rolloutlog._face.page import Options, page, pieces
from rolloutlog._face.transcript import Transcript

pytestmark = pytest.mark.extras

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not show descriptors")
# Beyond the elements and attributes of a session's page.
MORE_ELEMENTS = {"form", "button", "mark"}
MORE_ATTRIBUTES = {"action", "role", "value", "maxlength"}


class Answer:
    """A response: its status, its headers by their lower-case names, and its text."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode("utf-8")
        response.close()


class Viewer:
    """A process that runs `rolloutlog view`, and a browser that opened its link."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.process = start_command("view", "--no-open", *arguments, **options)
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().decode().strip()
        assert self.link, self.end()
        self.port = urlsplit(self.link).port
        self.token = self.link.partition("=")[2]
        self.cookie = ""
        self.cookie = self.get("/", token=self.token).headers["set-cookie"].partition(";")[0]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=DEADLINE)

    def ask(self, place: str, *, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """Return the response to a request, whose body was not read yet."""
        connection = self.connect()
        given = {
            "Cookie": self.cookie,
            "Connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection.request(method, place, headers=given)
        return connection.getresponse()

    def get(self, place: str, *, token: str = "", method: str = "GET", **headers: str) -> Answer:
        place = f"{place}?token={token}" if token else place
        return Answer(self.ask(place, method=method, **headers))

    def descriptors(self, ending: str) -> int:
        """Return how many files whose names end like that the process has open."""
        count = 0
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                count += os.readlink(f"/proc/{self.process.pid}/fd/{name}").endswith(ending)
            except FileNotFoundError:  # closed since
                continue
        return count

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it, and return its exit code and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors.decode()


def put(home: Path, data: bytes, session_id: str = PARENT, *, day: str = "2025/07/23", second: int = 26) -> Path:
    """Put *data* into *home* as the file of a session."""
    folder = home / "sessions" / day
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-{day.replace('/', '-')}T15-03-{second:02}-{session_id}.jsonl"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Iterator[Viewer]:
    """A viewer of two homes: one of ours with a hostile session, one of Codex with real sessions."""
    ours, codex = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("codex")
    folder = ours / "sessions/2026/11/30"
    folder.mkdir(parents=True)
    (folder / hostile.FILE_NAME).write_bytes(hostile.session_file("envelope", with_long=False))
    (folder / tide.FILE_NAME).write_bytes(tide.session())
    for second, path in enumerate([*REAL, *GOLDEN]):
        session_id = f"0198d7f2-0000-7e3a-9a61-{second:012x}"
        put(codex, path.read_bytes(), session_id, second=second)
    viewer = Viewer("--home", ours, "--home", codex)
    yield viewer
    viewer.end()


@pytest.fixture
def view() -> Iterator[type[Viewer]]:
    """Start a viewer; it ends with the test."""
    started: list[Viewer] = []

    def started_one(*arguments: object, **options: object) -> Viewer:
        started.append(Viewer(*arguments, **options))
        return started[-1]

    yield started_one
    for viewer in started:
        viewer.end(signal.SIGKILL)


# --- who may see it ---------------------------------------------------------------------------------------------------

PLACES = ["/", "/search?q=tide", f"/s/{tide.ID}", "/nothing"]


def test_the_link_gives_a_cookie_and_leaves_the_address(shown):
    """The token is exchanged at once, so it is in no history; no script and no other site gets the cookie."""
    answer = Answer(shown.ask(f"/?token={shown.token}", Cookie=""))

    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, *flags = answer.headers["set-cookie"].split("; ")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert shown.token not in name
    assert len(name) > 50


@pytest.mark.parametrize("place", PLACES)
def test_without_the_cookie_nothing_is_shown(shown, place):
    """Another user of the machine can connect, and gets one sentence."""
    for cookie in ("", "rolloutlog=1", f"rolloutlog-{shown.port}=", shown.cookie[:-1], f"{shown.cookie}x"):
        answer = shown.get(place, Cookie=cookie)

        assert answer.status == 403
        assert answer.text == "Open the link that rolloutlog view printed.\n"


@pytest.mark.parametrize("token", ["wrong", "%00", "%E2%80%AE", "a" * 10_000])
def test_a_wrong_token_opens_nothing(shown, token):
    """Also with a valid cookie: a link that is wrong is said to be so."""
    answer = shown.get(f"/?token={token}")

    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_a_cookie_is_found_among_those_of_other_servers(shown):
    """Browsers send those of all ports of the machine, whatever they look like."""
    cookies = f"a=1; b c=[x]; =; ;{shown.cookie};é=\x80".encode("latin-1", "replace").decode("latin-1")

    assert shown.get("/", Cookie=cookies).status == 200


_FOREIGN = (
    "evil.example evil.example:{port} 127.0.0.1 localhost 127.0.0.1:1 127.0.0.1.evil.example:{port} [::1]:{port} "
    "0.0.0.0:{port} LOCALHOST:{port} 127.1:{port} 127.0.0.1:{port}. user@127.0.0.1:{port}"
)


@pytest.mark.parametrize("host", _FOREIGN.split())
def test_a_foreign_host_is_refused(shown, host):
    """A name of an attacker that leads to this machine (DNS rebinding) gets nothing, even with link and cookie."""
    for place in ("/", f"/?token={shown.token}"):
        answer = shown.get(place, Host=host.format(port=shown.port))

        assert answer.status == 400
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
def test_its_own_hosts_are_accepted(shown, host):
    """The two names that the browser of this machine uses."""
    assert shown.get("/", Host=host.format(port=shown.port)).status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n",
        "nonsense\r\n",
    ],
)
def test_a_request_needs_exactly_one_host(shown, head):
    """No host, two hosts, or no request at all."""
    with socket.create_connection(("127.0.0.1", shown.port), timeout=DEADLINE) as connection:
        connection.sendall(
            f"{head.format(port=shown.port)}Cookie: {shown.cookie}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.split(b" ", 2)[1] == b"400"
    assert b"Sessions" not in answer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "other"),
        ("Sec-Fetch-Site", "none, cross-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1"),
        ("Origin", "https://127.0.0.1:{port}"),
    ],
)
def test_a_request_of_another_site_is_refused(shown, name, value):
    """Even with link and cookie: a page elsewhere in the browser can neither read nor open it."""
    for place in (*PLACES, f"/?token={shown.token}"):
        answer = shown.get(place, **{name.replace("-", "_"): value.format(port=shown.port)})

        assert answer.status == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [{"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin"}])
def test_a_request_of_a_person_is_accepted(shown, headers):
    """Typed, or from one of its own pages."""
    assert shown.get("/", **headers).status == 200


def test_a_request_that_names_its_own_origin_is_accepted(shown):
    """As some browsers do for forms."""
    assert shown.get("/", Origin=f"http://127.0.0.1:{shown.port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"])
def test_it_only_reads(shown, method):
    """Nothing can be sent to it."""
    answer = shown.get("/", method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("place", ["/", "/search?q=tide", f"/s/{tide.ID}"])
def test_head_gives_the_headers_alone(shown, place):
    """As HTTP wants it."""
    answer = shown.get(place, method="HEAD")

    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.mark.parametrize("place", [*PLACES, "/s/none", "/?token=wrong", "/?token={token}"])
def test_each_answer_has_the_headers_that_protect_it(shown, place):
    """Errors and redirects, too: no script, no frame, no cache, no guess of what it is."""
    answer = shown.get(place.format(token=shown.token))

    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert re.fullmatch(r"style-src( 'sha256-[\w+/=]{44}')+", policy[1])
    assert policy[2:] == ["img-src data:", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"]


def test_the_pages_fit_their_policy(shown):
    """The hash of each page's only style is in the header."""
    from rolloutlog._face.html import hash_of

    for place in PLACES[:3]:
        answer = shown.get(place)
        style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert style is not None
        assert hash_of(style[1]) in answer.headers["content-security-policy"]
        assert "<script" not in answer.text


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux only")
def test_only_the_loopback_address_is_bound(shown):
    """A server that listened everywhere would answer here, too."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", shown.port), timeout=DEADLINE)


def test_there_is_no_way_to_bind_wider():
    """An option would be used; ssh -L reaches other machines."""
    assert {param.name for param in command.params} == {"port", "is_opened", "homes"}


@pytest.mark.parametrize(
    "wanted", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "trip-to-rome", tide.ID[-8:], "0" * 36, "~", "%00", "%0d%0aX:1", "-"]
)
def test_only_an_id_means_a_session(shown, wanted):
    """No path, no name and no piece of an id: nothing else of the machine can be asked for."""
    assert shown.get(f"/s/{wanted}").status == 404


def test_the_link_in_a_command_line_works_once(tmp_path, view):
    """The list of processes shows the browser's command line to every user of the machine."""
    written = tmp_path / "link"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(written))}.new\nmv {written}.new {written}\n')
    browser.chmod(0o700)
    viewer = view("--open", env={"BROWSER": f"{browser} %s", "ROLLOUTLOG_HOME": str(tmp_path)})
    eventually(written.exists)
    place = written.read_text().partition(str(viewer.port))[2]

    assert viewer.token not in place
    assert [Answer(viewer.ask(place, Cookie="")).status for _ in range(2)] == [303, 403]
    assert viewer.get("/", token=viewer.token).status == 303


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_the_list_has_the_sessions_of_all_homes(shown):
    """Newest first, each with a link by its id; real sessions of Codex among them."""
    answer = shown.get("/")

    links = re.findall(r'href="/s/([^"]*)"', answer.text)
    assert links[:2] == [hostile.ID, tide.ID] or links[:2] == [tide.ID, hostile.ID]
    assert len(links) == len(set(links)) == 2 + len([*REAL, *GOLDEN])
    assert "The tide table skips a high water at the end of March" in answer.text


def test_a_long_list_has_pages(tmp_path, view):
    """Of a hundred sessions; all of them are on one of the pages, in order."""
    ids = [f"0198d7f2-0000-7e3a-9a61-{number:012x}" for number in range(205)]
    for number, session_id in enumerate(ids):
        put(tmp_path, meta(session_id), session_id, day=f"2025/{1 + number // 25:02}/{1 + number % 25:02}")
    viewer = view("--home", tmp_path)

    pages = [viewer.get(f"/?page={number}").text for number in (1, 2, 3, 4, 0)]
    pages.append(viewer.get("/?page=nonsense").text)

    found = [re.findall(r'href="/s/([^"]*)"', text) for text in pages]
    assert found[0] + found[1] + found[2] == ids[::-1]
    assert list(map(len, found[:3])) == [100, 100, 5]
    assert found[3:] == [found[2], found[0], found[0]]
    assert 'href="/?page=2">Older' in pages[0]
    assert 'href="/?page=1">Newer' in pages[1]
    assert "101 to 200 of 205" in pages[1]


def test_archived_sessions_have_a_list_of_their_own(tmp_path, view):
    """And their pages are found by their ids."""
    path = put(tmp_path, meta(PARENT) + user("kept for later"))
    (tmp_path / "archived_sessions").mkdir()
    shutil.move(path, tmp_path / "archived_sessions" / path.name)
    viewer = view("--home", tmp_path)

    assert "kept for later" not in viewer.get("/").text
    assert "kept for later" in viewer.get("/?archived=1").text
    assert "kept for later" in viewer.get(f"/s/{PARENT}").text


def test_an_empty_home_has_an_empty_list(tmp_path, view):
    """No sessions is not an error."""
    answer = view("--home", tmp_path).get("/")

    assert answer.status == 200
    assert "<li>" not in answer.text


def test_a_search_leads_to_the_line(shown):
    """Each match is a link that opens the fold with it."""
    answer = shown.get("/search?q=no_such_test")

    links = re.findall(rf'href="(/s/{tide.ID}#L\d+)"', answer.text)
    assert links
    assert "<mark>no_such_test</mark>" in answer.text
    shown_page = shown.get(links[0].partition("#")[0]).text
    assert all(f'id="{link.partition("#")[2]}"' in shown_page for link in links)


def test_a_search_without_a_match_says_so(shown):
    """With the number of sessions that were read."""
    assert "0 matches in 0 of " in shown.get("/search?q=nothing+holds+this").text


@pytest.mark.parametrize(
    "text", ["", "\x1b[2J", "\u202e", '"><script>alert(1)</script>', "'\" onfocus=alert(1) '", "\n"]
)
def test_the_text_of_a_search_is_harmless(shown, text):
    """It is in its field again."""
    answer = shown.get(f"/search?q={quote(text)}")

    assert answer.status == 200
    assert hostile.harm_in(answer.text) == []
    elements = Elements(answer.text)
    assert set(elements.tags) <= ELEMENTS | MORE_ELEMENTS
    assert {name for _, name, _ in elements.attributes} <= ATTRIBUTES | MORE_ATTRIBUTES


def test_the_page_of_a_session_is_that_of_the_export(tmp_path, view):
    """There is one renderer; only the links to other pages differ."""
    path = put(tmp_path, tide.session(), tide.ID)

    served = view("--home", tmp_path).get(f"/s/{tide.ID}").text

    assert served.partition("<main")[2] == page(Transcript(path)).partition("<main")[2]
    assert 'href="/">All sessions</a>' in served


@pytest.mark.parametrize("depth", ["user", "talk", "tools", "full", "all", "nonsense"])
def test_a_page_has_depths(shown, tmp_path, depth):
    """The same as those of `export`."""
    path = put(tmp_path, tide.session(), tide.ID)
    options = Options(depth=depth if depth != "nonsense" else "tools", is_whole=depth == "full")

    served = shown.get(f"/s/{tide.ID}?depth={depth}").text

    assert (
        served.partition("<main")[2].partition("<footer")[0]
        == page(Transcript(path), options).partition("<main")[2].partition("<footer")[0]
    )


@pytest.mark.slow
def test_every_session_has_a_page(shown):
    """Real ones of Codex, ours, and the hostile one."""
    for session_id in re.findall(r'href="/s/([^"]*)"', shown.get("/").text):
        answer = shown.get(f"/s/{session_id}")
        assert answer.status == 200
        assert answer.text.endswith("</html>\n")


def test_a_fork_links_to_its_parent(tmp_path, view):
    """The fold with the inherited turns leads to its page."""
    before = meta(PARENT) + user("a") + model("b")
    put(tmp_path, before)
    base = {"thread_id": PARENT, "end_byte_offset": len(before)}
    put(tmp_path, meta(CHILD, forked_from_id=PARENT, history_base=base) + user("c"), CHILD, second=27)

    answer = view("--home", tmp_path).get(f"/s/{CHILD}")

    assert f'<a href="/s/{PARENT}">' in answer.text


def test_a_session_that_was_removed_is_said_to_be(tmp_path, view):
    """And the list has it no more."""
    path = put(tmp_path, meta(PARENT) + user("soon gone"))
    viewer = view("--home", tmp_path)
    path.unlink()

    answer = viewer.get(f"/s/{PARENT}")

    assert answer.status == 404
    assert "There is no such session" in answer.text
    assert "soon gone" not in viewer.get("/").text


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_session_that_cannot_be_read_is_said_to_be(tmp_path, view):
    """With the reason, and without a traceback."""
    put(tmp_path, meta(PARENT)).chmod(0)

    answer = view("--home", tmp_path).get(f"/s/{PARENT}")

    assert answer.status == 500
    assert "Permission denied" in answer.text


# --- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["/", "/search?q=alert", "/search?q=owned", f"/s/{hostile.ID}", f"/s/{hostile.ID}?depth=all"]
)
@pytest.mark.slow
def test_attacks_stay_texts(shown, place):
    """No element, attribute, link or character of an attack is on any page."""
    html = shown.get(place).text

    assert hostile.harm_in(html) == []
    elements = Elements(html)
    assert set(elements.tags) <= ELEMENTS | MORE_ELEMENTS
    assert {name for _, name, _ in elements.attributes} <= ATTRIBUTES | MORE_ATTRIBUTES
    own = r"#[LTP]P?\d+$|#main$|/$|/\?(archived=1|page=\d+)$|\?depth=\w+$|/s/[0-9a-f-]{36}(#L\d+)?$"
    assert all(re.match(rf"{own}|https?://|mailto:", value) for value in elements.values("href"))
    assert set(elements.values("action")) <= {"/search"}
    assert all(value.startswith("data:image/") for value in elements.values("src"))


# --- a session that is followed ---------------------------------------------------------------------------------------


def record_what_is_said(home: str) -> None:
    """Record each line of stdin as a message, until there are no more."""
    with rolloutlog.RolloutRecorder.create(home=home) as recorder:
        recorder.record(rolloutlog.Message.user("first words"))
        recorder.flush()
        tell(recorder.path)
        for line in sys.stdin:
            recorder.record(rolloutlog.Message.user(line.strip()))
            recorder.flush()
            tell("recorded")


class Recording:
    """A session that another process records."""

    def __init__(self, home: Path) -> None:
        self.process = start(record_what_is_said, str(home))
        self.path = Path(hear(self.process))
        self.address = f"/s/{self.path.stem[-36:]}"

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        assert hear(self.process) == "recorded"

    def close(self) -> None:
        finish(self.process)


@pytest.fixture
def recording(tmp_path) -> Iterator[Recording]:
    """A session in *tmp_path* that another process has open."""
    session = Recording(tmp_path)
    yield session
    if session.process.poll() is None:
        session.close()


FIRST = "<p>first words</p>"
"""The first message on the page of a `Recording`; its title comes earlier."""


def read_until(response: http.client.HTTPResponse, text: str) -> str:
    """Return the part of *response* up to *text*; the rest of what came is for the next call."""
    got: bytes = getattr(response, "kept", b"")
    while text.encode() not in got:
        more = response.read1(65536)
        assert more, f"it ended: {got[-500:]!r}"
        got += more
    end = got.index(text.encode()) + len(text.encode())
    response.kept = got[end:]  # type: ignore[attr-defined]
    return got[:end].decode("utf-8")


def test_an_open_session_grows_on_its_page(tmp_path, view, recording):
    """A record of another process appears at the end; when that closes the session, the page ends."""
    response = view("--home", tmp_path).ask(recording.address)
    read_until(response, "open: what is recorded now appears at the end")
    read_until(response, FIRST)

    recording.say("one more question")
    read_until(response, "one more question")
    recording.say("<script>alert(1)</script>\x1b[2J\u202e")
    attack = read_until(response, "[2J")
    assert hostile.harm_in(attack) == []
    assert "<script" not in attack

    recording.close()
    assert read_until(response, "</html>").count("The session was closed.") == 1
    assert response.read() == b""  # and there is nothing after it


def test_a_call_of_an_open_session_does_not_wait_for_its_output(tmp_path):
    """A person sees at once what an agent does; the output follows when it comes."""
    path = put(tmp_path, meta(PARENT) + user("go"))
    stop: list[str | None] = [None]
    made = followed(Transcript(path), Options(), lambda: True, lambda: stop[0])
    shown = ""
    for piece in made:
        if piece is None:
            break
        shown += piece
    with path.open("ab") as file:
        file.write(call("sleep_a_minute", "call_1"))
    later = next(made) or ""

    assert "sleep_a_minute" in later
    assert "no output yet" in later
    with path.open("ab") as file:
        file.write(output("all slept", "call_1"))
    stop[0] = "Enough."
    rest = "".join(piece or "" for piece in made)
    assert "all slept" in rest
    assert "Enough." in rest
    assert rest.endswith("</html>\n")


@pytest.mark.parametrize("source", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_followed_page_begins_with_all_that_is_there(source, tmp_path):
    """The same entries as the page of a session that is closed, in the same order."""
    data = source.read_bytes()
    path = put(tmp_path, data[: data.rfind(b"\n") + 1])
    transcript = Transcript(path)

    live = "".join(piece or "" for piece in followed(transcript, Options(), lambda: True, lambda: "Enough."))

    note = '<p class="it note">Enough.</p>\n'
    assert live.count(note) == 1
    # A call without an output may still get one.
    main = live.replace(note, "").replace("no output yet", "<b>no output</b>").partition("</nav>")[2]
    switches = re.compile(r'<input class="sw".*?<div class="views"></div>\n')
    assert switches.sub("", main) == switches.sub("", page(transcript).partition("</nav>")[2])


def test_a_followed_fork_has_the_turns_that_it_inherits(tmp_path):
    """In their fold, from the file of its parent."""
    before = meta(PARENT) + user("a") + model("b")
    put(tmp_path, before + user("not in the fork"))
    base = {"thread_id": PARENT, "end_byte_offset": len(before)}
    path = put(tmp_path, meta(CHILD, forked_from_id=PARENT, history_base=base) + user("c"), CHILD, second=27)
    transcript = Transcript(path)

    live = "".join(piece or "" for piece in followed(transcript, Options(), lambda: True, lambda: "Enough."))

    assert "Before the fork: 1 turn" in live
    assert live.replace('<p class="it note">Enough.</p>\n', "").partition("</nav>")[2].count("<section") == 2
    assert "not in the fork" not in live


def test_what_happens_to_the_file_is_said(tmp_path, view, recording):
    """A session that is archived ends its page."""
    response = view("--home", tmp_path).ask(recording.address)
    read_until(response, FIRST)
    archive = tmp_path / "archived_sessions"
    archive.mkdir()

    recording.path.rename(archive / recording.path.name)

    assert "The session was archived" in read_until(response, "</html>")


@pytest.mark.slow
def test_one_connection_of_a_browser_stays_free(tmp_path, view):
    """A browser has six to one server, and each page that is followed keeps one; so the oldest makes room."""
    recordings = [Recording(tmp_path) for _ in range(6)]
    viewer = view("--home", tmp_path)
    responses = []
    for session in recordings:
        responses.append(viewer.ask(session.address))
        read_until(responses[-1], FIRST)

    assert "because 5 others are" in read_until(responses[0], "</html>")
    recordings[5].say("still followed")
    read_until(responses[5], "still followed")
    for session in recordings:
        session.close()


# --- clients ----------------------------------------------------------------------------------------------------------


@needs_proc
def test_a_client_that_leaves_leaves_nothing(tmp_path, view, recording):
    """No descriptor, and no thread for each."""
    viewer = view("--home", tmp_path)
    for _ in range(30):
        response = viewer.ask(recording.address)
        read_until(response, FIRST)
        response.close()

    eventually(lambda: viewer.descriptors(".jsonl") == 0)
    assert viewer.threads() <= 1 + 40
    before = viewer.threads()
    for _ in range(30):
        response = viewer.ask(recording.address)
        read_until(response, FIRST)
        response.close()
        eventually(lambda: viewer.descriptors(".jsonl") == 0)
    assert viewer.threads() <= before + 2


@needs_proc
@pytest.mark.slow
def test_a_client_that_leaves_ends_the_work_on_a_large_page(tmp_path, view):
    """The session is not read to its end for no one."""
    put(tmp_path, meta(PARENT) + (user("q") + model("**answer** " * 400)) * 2_000)
    viewer = view("--home", tmp_path)
    response = viewer.ask(f"/s/{PARENT}")
    read_until(response, "<h1")
    response.close()

    eventually(lambda: viewer.descriptors(".jsonl") == 0)
    assert viewer.get("/").status == 200


def test_a_client_that_does_not_read_harms_no_other(tmp_path, view):
    """Its page waits; other pages are served."""
    put(tmp_path, meta(PARENT) + (user("q") + model("word " * 2_000)) * 800)
    viewer = view("--home", tmp_path)
    slow = viewer.ask(f"/s/{PARENT}")

    assert viewer.get("/").status == 200
    assert slow.read().endswith(b"</html>\n")


def test_many_clients_at_once(shown):
    """Each gets its whole page."""
    places = ["/", "/search?q=no_such_test", f"/s/{tide.ID}"] * 8
    expected = {place: shown.get(place).text for place in set(places)}

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda place: (place, shown.get(place).text), places))

    changing = re.compile(r"read in \d+\.\d s")
    for place, text in answers:
        assert changing.sub("", text) == changing.sub("", expected[place])


@pytest.mark.slow
def test_a_large_session_begins_at_once(tmp_path, view):
    """Its title is made before the rest is read; and all of it arrives."""
    path = put(tmp_path, meta(PARENT) + user("a long story") + model("**word** " * 1_000) * 300)
    assert "a long story</h1>" in next(pieces(Transcript(path)))

    answer = view("--home", tmp_path).get(f"/s/{PARENT}")

    assert answer.text.count("<article") == 300
    assert answer.text.endswith("</html>\n")


# --- beginning and end ------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_it(tmp_path, view):
    """With the exit code of all commands, and without a traceback."""
    viewer = view("--home", tmp_path)

    code, said = viewer.end()

    assert code == 130
    assert said.count("\n") == 1
    assert "Ctrl-C ends it" in said


def test_ctrl_c_ends_a_page_that_is_followed(tmp_path, view, recording):
    """The page says so, and is whole."""
    viewer = view("--home", tmp_path)
    response = viewer.ask(recording.address)
    read_until(response, FIRST)

    ending = threading.Thread(target=viewer.process.send_signal, args=[signal.SIGINT])
    ending.start()

    assert "because rolloutlog view was ended" in read_until(response, "</html>")
    ending.join(DEADLINE)
    assert viewer.end()[0] == 130


def test_a_port_can_be_chosen(tmp_path, view):
    """For ssh -L, and for a bookmark."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert view("--home", tmp_path, "--port", str(port)).port == port


def test_a_port_in_use_is_said(tmp_path):
    """One line, with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, out, err = run("view", "--home", tmp_path, "--port", str(port))

    assert (code, out) == (1, "")
    assert err == f"rolloutlog: port {port} is in use; pass another one, or none for any that is free\n"


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--port", "x"], ["--host", "0.0.0.0"], ["more"]])
def test_wrong_use_is_said(tmp_path, arguments):
    """As of every command."""
    code, out, err = run("view", "--home", tmp_path, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("Usage: rolloutlog view")


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path, missing):
    """And nothing is started."""
    code = f"import sys; sys.modules[{missing!r}] = None; from rolloutlog.__main__ import main; sys.exit(main())"
    arguments = [sys.executable, "-c", code, "view", "--home", str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rolloutlog: the viewer needs starlette and uvicorn: pip install 'rolloutlog[cli,view]'\n"


@pytest.mark.parametrize("line", [line for line, _ in command.examples])
def test_an_example_runs(tmp_path, line):
    """It begins, and Ctrl-C ends it."""
    arguments = [word if word != "8765" else "0" for word in shlex.split(line)[1:]]
    process = start_command(*arguments, env={"ROLLOUTLOG_HOME": str(tmp_path)})
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"http://127.0.0.1:")

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)

    assert process.returncode == 130


def test_a_home_that_is_not_there_is_said(tmp_path):
    """Before a server is started."""
    assert run_apart("view", "--home", tmp_path / "none").code == 2
