"""Lines of bytes on their way to a file: the queue, the threads, the journal. It does not know what lines mean."""
