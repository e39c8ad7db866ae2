"""Run one program next to a model server, alone on a loopback network; itself a program that reads and prints JSON.

A network namespace belongs to a process. So the test starts this process, which enters the namespace, serves the model
and runs the program there. The order comes on standard input, the outcome goes to standard output. See `Order` and
`Outcome`. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model_server import ModelServer, Replies

PORT = "@PORT@"
# The network namespace would be enough; the process namespace makes all processes of the program end with it.
NAMESPACES = ("--net", "--pid", "--fork", "--kill-child")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


@dataclass(frozen=True)
class Order:
    """The program to run.

    Attributes:
        command: the program and its arguments.
        env: its whole environment.
        cwd: its folder.
        config: a file to write first, and its text; ``@PORT@`` in it becomes the model server's port.
        replies: the model's replies, or each agent's; see `ModelServer`.
        stdin: the program's input; may be empty.
        until: the input ends after the program printed a line that contains this; without it, after `stdin`.
        seconds: the time after which the program and all that it started are killed.
        kill_when_stalled: kill it as soon as it waits for a reply that never comes.
    """

    command: list[str]
    env: dict[str, str]
    cwd: str
    config: tuple[str, str]
    replies: Replies | dict[str, Replies]
    stdin: str = ""
    seconds: float = 60.0
    kill_when_stalled: bool = False
    until: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of an order.

    Attributes:
        returncode: as in `subprocess`.
        timed_out: whether it was killed after its time limit.
        seconds: how long it took.
        stdout, stderr: its output.
        requests: the bodies of the requests to the model, in order.
        unexpected: other requests to the server.
        alone: whether there was no network but loopback.
    """

    returncode: int
    timed_out: bool
    seconds: float
    stdout: str
    stderr: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    alone: bool = False


def run(order: Order) -> Outcome:
    """Run *order* in a process of its own, without a network if the system allows that; return the outcome."""
    done = subprocess.run(
        [*way_in(), sys.executable, __file__],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        timeout=order.seconds + 30,
    )
    if done.returncode:
        raise RuntimeError(f"the cage ended with status {done.returncode}: {done.stderr[-2000:]}")
    return Outcome(**json.loads(done.stdout))


@functools.cache
def way_in() -> tuple[str, ...]:
    """Return the command that enters a network namespace: as this user, else as root of a namespace; else none."""
    for rights in ((), ("--map-root-user",)):
        prefix = ("unshare", *rights, *NAMESPACES)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run([*prefix, "true"], capture_output=True, timeout=10).returncode == 0:
                return prefix
    return ()


def main() -> int:
    """Serve and run inside; the outcome goes to standard output."""
    order = Order(**json.load(sys.stdin))
    alone = is_alone()
    if alone:
        raise_loopback()
    with ModelServer(order.replies) as model:
        outcome = serve_and_run(order, model, alone)
    json.dump(asdict(outcome), sys.stdout)
    return 0


def serve_and_run(order: Order, model: ModelServer, alone: bool) -> Outcome:
    """Run the program against *model* until it ends, waits for a reply that never comes, or its time is over."""
    path, text = order.config
    Path(path).write_text(text.replace(PORT, str(model.port)), encoding="utf-8")
    began = time.monotonic()
    process = subprocess.Popen(
        order.command,
        env=order.env,
        cwd=order.cwd,
        stdin=subprocess.PIPE if order.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    timed_out = False
    with killed_when_stalled(process, model) if order.kill_when_stalled else contextlib.nullcontext():
        try:
            heard = converse(process, order) if order.until else b""
            stdout, stderr = process.communicate(
                None if order.until else order.stdin.encode() or None, timeout=order.seconds
            )
            stdout = heard + stdout
        except subprocess.TimeoutExpired:
            timed_out = True
            kill(process)
            stdout, stderr = process.communicate()
    return Outcome(
        returncode=process.returncode,
        timed_out=timed_out,
        seconds=round(time.monotonic() - began, 2),
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
        requests=model.requests,
        unexpected=model.unexpected,
        alone=alone,
    )


def converse(process: subprocess.Popen[bytes], order: Order) -> bytes:
    """Write the input of *process*, and return its output up to the line that is waited for."""
    assert process.stdin is not None
    assert process.stdout is not None
    end = threading.Timer(order.seconds, kill, [process])
    end.start()
    try:
        process.stdin.write(order.stdin.encode())
        process.stdin.flush()
        heard = []
        for line in process.stdout:
            heard.append(line)
            if order.until.encode() in line:
                break
        return b"".join(heard)
    finally:
        end.cancel()


@contextlib.contextmanager
def killed_when_stalled(process: subprocess.Popen[bytes], model: ModelServer) -> Iterator[None]:
    """Kill *process* as soon as *model* withholds a reply; stop watching at the end of the block."""

    def watch() -> None:
        model.stalled.wait()
        kill(process)

    watcher = threading.Thread(target=watch, name="killer", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        model.stalled.set()
        watcher.join()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and the processes that it started, which share a process group that we created."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def is_alone() -> bool:
    """Return whether loopback is the only network interface, up or not."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def raise_loopback() -> None:
    """Bring loopback up: in a new namespace it is down. By hand, because not every machine has the ``ip`` command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        if not flags & IFF_UP:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


if __name__ == "__main__":
    sys.exit(main())
