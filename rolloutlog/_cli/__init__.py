"""The command `rolloutlog`: one module for each command, and their conventions."""
