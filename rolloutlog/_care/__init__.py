"""Care of files that were damaged: what is wrong with one, and its repair."""
