"""rolloutlog measured side by side with its peers, in one interleaved run: ``make bench``."""
