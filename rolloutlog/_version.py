"""Which version this is; setup.cfg takes it from here."""

__version__ = "0.1.0"
