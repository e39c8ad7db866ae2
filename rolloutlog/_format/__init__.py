"""One entry to one line, and one line to one entry, in either of the two formats."""
