"""Set up the handler with logging.config.dictConfig, next to other handlers."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import rolloutlog

CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"agents": {"name": "agent"}},  # records of the logger "agent" and its children
    "handlers": {
        "console": {"class": "logging.StreamHandler", "level": "WARNING", "stream": "ext://sys.stdout"},
        "rollout": {
            "class": "rolloutlog.RolloutHandler",
            "level": "INFO",
            "filters": ["agents"],
            "instructions": "You are a gardener.",
            "meta": {"deployment": "greenhouse"},
            "queue_size": 1000,
            "on_full": "block",
            "fsync": "flush",
        },
    },
    "root": {"level": "INFO", "handlers": ["console", "rollout"]},
}


def main() -> None:
    """Log to both handlers; only the rollout gets all records of the agent, and no others."""
    logging.config.dictConfig(CONFIG)
    logging.getLogger("agent.tools").info(rolloutlog.Message.user("When do tomatoes go outside?"))
    logging.getLogger("agent.tools").warning("the frost table is from last year")
    logging.getLogger("http.client").info("not of the agent")
    logging.shutdown()  # happens at exit anyway: everything is written, and the session is closed

    saved = rolloutlog.load_session(next(rolloutlog.find_sessions()))
    print(saved.session.instructions, dict(saved.session.extra))
    print(saved)


if __name__ == "__main__":
    main()
