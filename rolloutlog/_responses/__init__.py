"""What a model's API takes as its input, and what a model sees of a session."""
