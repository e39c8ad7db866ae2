"""Files to sessions: blocks of lines, what they hold, what the model sees of it, where its history began."""
