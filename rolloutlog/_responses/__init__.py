"""The input that a model's API accepts, and the part of a session that a model sees."""
