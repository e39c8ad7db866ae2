"""Keeping sessions for long: compressed where they are, or moved to the trash. Never by itself, and a plan first."""
