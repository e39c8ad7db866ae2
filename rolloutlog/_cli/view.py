"""`rolloutlog view`: a server on this machine alone, which shows all sessions in the browser and follows open ones."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import webbrowser
from contextlib import closing

import click

from .._face.sessions import short_path
from .common import Count, Settings, define
from .output import note, print_if_open, write

_HOST = "127.0.0.1"
# After Ctrl-C, a page that is being made may take so many seconds to be sent.
_GRACE = 3


@define(
    name="view",
    examples=[
        ("rolloutlog view", "all sessions in the browser, until Ctrl-C"),
        ("rolloutlog view --port 8765 --no-open", "at a port of your choice, as for ssh -L 8765:127.0.0.1:8765"),
    ],
)
@click.option("--port", default=0, metavar="N", type=Count(0, 65535), help="Default: any that is free.")
@click.option(
    "--open/--no-open", "is_opened", default=None, help="Show it in the browser. Default: if stdout is a terminal."
)
@click.pass_obj
def command(settings: Settings, port: int, is_opened: bool | None) -> int:
    """Show all sessions in the browser: a list, a search, and each as a page.

    The page of a session that is open grows while it is recorded. Only this machine can connect, only with the link
    that is printed; nothing can be changed, and no page has a script. Needs the extra "view". Ctrl-C ends it.
    """
    try:
        import uvicorn

        from .server import guarded
    except ImportError:
        note("the viewer needs starlette and uvicorn: pip install 'rolloutlog[cli,view]'")
        return 2
    if is_opened:
        print_if_open()
    with closing(_listen(port)) as listener:
        port = listener.getsockname()[1]
        guard = guarded(settings.homes, port, lambda: server.should_exit)
        config = uvicorn.Config(
            guard,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = uvicorn.Server(config)
        address = f"http://{_HOST}:{port}/?token="
        write(f"{address}{guard.token}\n")
        sys.stdout.flush()
        note(f"shows the sessions in {' and '.join(map(short_path, settings.homes))}; Ctrl-C ends it")
        if sys.stdout.isatty() if is_opened is None else is_opened:
            # A browser of the terminal runs until it is left. It gets a link that works once, because the list of
            # processes shows it to all users of the machine.
            link = f"{address}{guard.passing_token}"
            threading.Thread(target=webbrowser.open, args=[link], daemon=True).start()
        server.run([listener])
    return 0


def _listen(port: int) -> socket.socket:
    """Return a socket that listens at *port* of this machine alone."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"port {port} is in use; pass another one, or none for any that is free"
            ) from None
        raise click.ClickException(f"port {port} cannot be used: {os.strerror(error.errno or 0)}") from None
    return listener
