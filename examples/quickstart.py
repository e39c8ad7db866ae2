"""Record what a program logs: a handler on a logger, items as items, everything else as log entries."""

from __future__ import annotations

import logging

import rolloutlog
from rolloutlog import FunctionCall, FunctionCallOutput, Message

log = logging.getLogger("weather.agent")


def main() -> None:
    """Log a short conversation, then read it back."""
    with rolloutlog.attach(level=logging.INFO) as handler:  # on the root logger, which gets all records
        log.info(Message.user("Do I need an umbrella in Oslo?"))  # an item: part of the model's input

        call = FunctionCall(name="forecast", arguments='{"city": "Oslo"}', call_id="call_1")
        log.info("asking for %s", call.name, extra={"rollout_item": call})  # an item, and text for other handlers
        log.info("the service answered in %d ms", 40, extra={"city": "Oslo"})  # a log entry, for people
        log.info(FunctionCallOutput.of(call, "rain until noon"))
        try:
            raise TimeoutError("the map server is slow")
        except TimeoutError:
            log.exception("continuing without a map")  # a log entry with its traceback

        log.info(Message.assistant("Yes, until noon."))
        handler.flush()  # on disk from here on; leaving the block does it too
        assert handler.recorder is not None  # written to the file now; leaving the block flushes, too

    saved = rolloutlog.load_session(handler.recorder.path)
    print(saved)
    for item in saved.items:
        print("item ", item.type, item.text)
    for entry in saved.logs:
        print("entry", entry.level, entry.logger, entry.message, dict(entry.extra))
    print("input", saved.to_input()[0])


if __name__ == "__main__":
    main()
