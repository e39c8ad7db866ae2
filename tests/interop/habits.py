"""Peculiarities of each release of Codex when it resumes a session: data, observed in the real programs.

`expected` computes from these the requests that a release must send. Each value was set to the result of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Keys: TypeAlias = Mapping[str, tuple[str, ...]]

# The keys that 0.20.0 knows of each kind; it drops every other key, and every item of another kind.
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
    """Return *keys* for releases that have no ids."""
    return {kind: tuple(key for key in known if key != "id") for kind, known in keys.items()}


KEYS_25: Keys = {**FLAT_KEYS, **CUSTOM_TOOLS}
KEYS_36 = without_ids(KEYS_25)
KEYS_42: Keys = {**KEYS_36, **without_ids(WEB_SEARCH)}
KEYS_104: Keys = {**KEYS_42, "message": (*KEYS_42["message"], "phase")}
KEYS_120: Keys = {**KEYS_104, "function_call": (*KEYS_104["function_call"], "namespace")}
KEYS_150: Keys = {kind: ("id", *known) for kind, known in KEYS_120.items()}


@dataclass(frozen=True)
class Habits:
    """The behavior of a release.

    Attributes:
        resumes_by: what identifies the session to resume: its path, or its id.
        config: further lines that its configuration needs.
        shell: the function tool that runs a command in a shell.
        other_shell: the other way in which its model runs one, if it has another.
        keys: the keys that it knows of each kind, and sends; `None` if it sends all keys.
        merges: whether it merges adjacent messages of the assistant.
        answers: where it puts an output "aborted" for a call that has none. In front, it does so for function calls.
        answer: the kind of that output.
        front: the items that it puts before the history: none, its environment, or its tools and instructions.
        retells: whether it sends the output of a shell, which is JSON in the file, as plain text; if so, where it puts
            the number of lines of an output that it had shortened: above the text or in it.
        copies: whether it does not change the file, and continues in a new one that begins with a copy.
        refuses: whether it ends with status 1 if it cannot read a file, and does not begin a new session.
        whole: whether all that it recorded is in its file when it ends.
        sums_up: whether the model sees the user's messages and the last summary of a compacted session.
        rewrites: whether it has a command to compact a session, and can take turns back.
        lists: the request for the sessions in its home, if its server has one.
        keeps, skips: the odd lines that it treats differently from the release of its format in the table.
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
# It reads kinds of outputs that it does not write any more, and never wrote reasoning.
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
# The first release with envelopes, which has no ids.
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
