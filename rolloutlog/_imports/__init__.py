"""Sessions of other programs as rollouts: Claude Code's files, lists of messages, databases of the Agents SDK."""
