"""The page of a session that is still recorded: it never ends while the session is open, and grows without a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from time import monotonic

from .._reading.lines import Copies, RolloutLine
from .page import Options, PageMaker
from .tail import Happening, Tail
from .transcript import Transcript
from .turns import Reader

# Whether the session is still open is asked so often, in seconds: the system must be asked about all processes.
_ASKED_EVERY = 2.0
_CLOSED = "The session was closed. Reload this page to see all of it in order."


def followed(
    transcript: Transcript,
    options: Options,
    is_open: Callable[[], bool],
    reason_to_stop: Callable[[], str | None],
) -> Iterator[str | None]:
    """Yield the page of *transcript* in pieces: all that is there, then each entry as it is recorded.

    Some pieces are empty; `None` means that there is nothing new, so the caller should wait before the next piece.

    Args:
        transcript: the session.
        options: how much of it is shown.
        is_open: whether a program still has the session open; if not, the page ends.
        reason_to_stop: returns a sentence if the page should end now.

    Raises:
        OSError: the session cannot be read.
    """
    head = transcript.head
    made, reader = PageMaker(head, options, is_live=True), Reader(head)
    with closing(Tail(head.path)) as tail:
        copies = Copies(head.path)
        yield made.begin()

        def news() -> Iterator[RolloutLine | Happening]:
            for each in tail.poll():
                if isinstance(each, RolloutLine) and not copies.are_over:
                    yield each._replace(inherited=copies.hold(each.number, tail.raw, each.entry))
                else:
                    yield each

        yield from made.read(transcript.lines_elsewhere(), reader)
        yield from made.read((line for line in news() if isinstance(line, RolloutLine)), reader)
        for part in reader.follow():
            made.add(part)
        yield from made.top(reader.counts)
        asked, was_open = monotonic(), True
        while True:
            if (reason := reason_to_stop()) is not None:
                yield made.said_by_us(reason)
                break
            is_quiet, is_over = True, False
            for each in news():
                is_quiet = False
                if isinstance(each, Happening):
                    yield made.said_by_us(f"{each.text[:1].upper()}{each.text[1:]}.")
                    is_over = is_over or each.is_end
                    continue
                for part in reader.read(each):
                    yield made.more(part)
            if is_over:
                break
            if not is_quiet:
                continue
            if not was_open:  # and nothing came since it was closed
                yield made.said_by_us(_CLOSED)
                break
            if monotonic() - asked >= _ASKED_EVERY:
                asked, was_open = monotonic(), is_open()
            yield None
    for part in reader.end():
        yield made.more(part)
    yield made.end()
