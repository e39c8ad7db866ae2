"""Lines of bytes on their way to a file: the hand-off, the thread, the journal. What a line means is not known here."""
