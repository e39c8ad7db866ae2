"""What each release of Codex does of its own to a session that it resumes: data, seen in the real programs.

`expected` says by these what must have been sent. Nothing here was looked up: each value was set to what a run showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Keys: TypeAlias = Mapping[str, tuple[str, ...]]

# What 0.20.0 knows of each kind; it drops every other key, and every item of another kind.
FLAT_KEYS: Keys = {
    "message": ("type", "id", "role", "content"),
    "reasoning": ("type", "id", "summary", "content", "encrypted_content"),
    "local_shell_call": ("type", "id", "call_id", "status", "action"),
    "function_call": ("type", "id", "name", "arguments", "call_id"),
    "function_call_output": ("type", "call_id", "output"),
}
CUSTOM_TOOLS: Keys = {
    "custom_tool_call": ("type", "id", "status", "call_id", "name", "input"),
    "custom_tool_call_output": ("type", "call_id", "output"),
}
WEB_SEARCH: Keys = {"web_search_call": ("type", "id", "status", "action")}


def without_ids(keys: Keys) -> Keys:
    """Return *keys* as releases have them that know no ids."""
    return {kind: tuple(key for key in known if key != "id") for kind, known in keys.items()}


KEYS_25: Keys = {**FLAT_KEYS, **CUSTOM_TOOLS}
KEYS_36 = without_ids(KEYS_25)
KEYS_42: Keys = {**KEYS_36, **without_ids(WEB_SEARCH)}
KEYS_104: Keys = {**KEYS_42, "message": (*KEYS_42["message"], "phase")}
KEYS_120: Keys = {**KEYS_104, "function_call": (*KEYS_104["function_call"], "namespace")}
KEYS_150: Keys = {kind: ("id", *known) for kind, known in KEYS_120.items()}


@dataclass(frozen=True)
class Habits:
    """What a release does.

    Attributes:
        resumes_by: how it is told which session: by its path, or by its id.
        config: what must stand in its configuration besides.
        shell: the function tool that runs a command in a shell.
        other_shell: the other way in which its model runs one, if it has another.
        keys: what it knows of each kind, and sends; `None` when it keeps what it is given.
        merges: whether it makes one of the assistant's messages in a row.
        answers: where it puts an output "aborted" for a call that has none. In front, it does so for function calls.
        answer: the kind of that output.
        front: what it puts before the history: nothing, its surroundings, or its tools and instructions.
        retells: whether it sends the output of a shell, that stands as JSON in the file, as plain text; and whether it
            then tells how many lines there were, if it had shortened it, above the text or in it.
        copies: whether it leaves the file as it is, and goes on in a new one that begins with a copy.
        refuses: whether it ends with status 1 when it can make nothing of a file, and does not begin a new session.
        whole: whether all that it recorded is in its file when it ends.
        sums_up: whether what a model sees of a compacted session is what the user said, and the last summary.
        rewrites: whether it compacts a session when it is told to, and can take turns back.
        lists: how its server is asked for the sessions in its home, if it can be.
        keeps, skips: the odd lines that it treats otherwise than the release of its format that the table names.
    """

    resumes_by: Literal["path", "id"] = "id"
    config: str = ""
    shell: Literal["shell", "shell_command", "exec_command"] = "shell"
    other_shell: Literal["local_shell", "exec"] | None = "local_shell"
    keys: Keys | None = None
    merges: bool = False
    answers: Literal["nowhere", "in front", "behind the call"] = "in front"
    answer: str = "custom_tool_call_output"
    front: Literal["nothing", "surroundings", "instructions"] = "nothing"
    retells: Literal["nothing", "lines in the text", "lines above"] = "nothing"
    copies: bool = False
    refuses: bool = True
    whole: bool = True
    sums_up: bool = False
    rewrites: bool = False
    lists: Literal["listConversations", "thread/list"] | None = None
    keeps: frozenset[str] = frozenset()
    skips: frozenset[str] = frozenset()


V0_20 = Habits(
    resumes_by="path",
    keys=FLAT_KEYS,
    merges=True,
    answer="function_call_output",
    front="surroundings",
    refuses=False,
)
# It reads the outputs that it writes no more, and never wrote reasoning.
V0_8 = replace(
    V0_20,
    config="disable_response_storage = true\n",
    keys={
        "message": ("type", "role", "content"),
        "local_shell_call": FLAT_KEYS["local_shell_call"],
        "function_call": ("type", "name", "arguments", "call_id"),
    },
    merges=False,
    answers="nowhere",
    front="nothing",
    whole=False,
    keeps=frozenset({"id a number", "output an object"}),
    skips=frozenset({"reasoning without cipher"}),
)
V0_25 = Habits(
    resumes_by="path",
    keys=KEYS_25,
    keeps=frozenset({"reasoning with plain text"}),
)
V0_29 = replace(V0_25, copies=True)
# The first of the envelope, which knows no ids.
V0_36 = Habits(
    keys=KEYS_36,
    keeps=frozenset({"integer beyond 64 bits"}),
    skips=frozenset(
        {"number beyond a double", "output a list", "picture by id", "reasoning with id null", "web search"}
    ),
)
V0_34 = replace(V0_36, resumes_by="path")
V0_42 = replace(
    V0_36,
    keys=KEYS_42,
    skips=V0_36.skips - {"web search"},
)
V0_50 = replace(
    V0_42,
    answers="behind the call",
    answer="function_call_output",
    retells="lines in the text",
    lists="listConversations",
)
V0_60 = replace(
    V0_50,
    shell="shell_command",
    retells="lines above",
    sums_up=True,
    lists="thread/list",
    skips=V0_50.skips - {"output a list"},
)
V0_90 = replace(V0_60, config="features.remote_models = false\n", rewrites=True)
V0_104 = replace(V0_90, config="", shell="exec_command", keys=KEYS_104)
V0_120 = replace(
    V0_104,
    # Without this, each run waits five seconds for a host that it cannot reach.
    config="features.plugins = false\n",
    keys=KEYS_120,
)
V0_135 = replace(V0_120, other_shell=None)
V0_150 = replace(
    V0_135,
    other_shell="exec",
    keys=KEYS_150,
    front="instructions",
    retells="nothing",
    keeps=frozenset(),
    skips=frozenset({"picture by id"}),
)
V0_160 = replace(V0_150, skips=frozenset())
V0_166 = replace(V0_160, keys=None, front="nothing")
V0_169 = replace(V0_166, config="")
