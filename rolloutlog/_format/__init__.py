"""Values and lines of bytes, both ways: what stands in a line, in which format, and what an API takes."""
