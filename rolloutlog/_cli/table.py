"""The commands: each is a module with a `command`, which is imported only when that command runs or shows its help."""

from __future__ import annotations

# The name of each command: its module in this folder, and its line in the help of `rolloutlog`.
COMMANDS = {
    "list": ("listing", "List sessions, newest first."),
    "show": ("show", "Show a session as a conversation."),
    "tail": ("tail", "Show the end of a session; -f follows it."),
    "sql": ("sql", "Answer a query in SQL over all lines, sessions and calls."),
    "view": ("view", "Show all sessions in the browser, and follow those that are open."),
    "export": ("export", "Write a session as a page, as Markdown or as JSON for other programs."),
    "import": ("importing", "Make sessions of those of Claude Code, of messages, or of the Agents SDK."),
    "scan": ("scan", "Look for keys and tokens in a session."),
    "search": ("search", "Find a text in all sessions."),
    "stats": ("stats", "Count items, calls, tokens and time."),
    "doctor": ("doctor", "Say what is wrong with a session's file, or with all."),
    "repair": ("repair", "Make all records of a damaged file readable."),
    "archive": ("archive", "Compress sessions that are not used any more."),
    "prune": ("prune", "Move sessions to the trash."),
    "path": ("path", "Print the path of a session's file."),
    "completion": ("completion", "Print the completion script of a shell."),
}
