"""Which version this is; ``setup.cfg`` says the same, and a test compares them."""

__version__ = "0.1.0"
