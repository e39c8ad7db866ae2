"""What the fields of values are made of: the newer kinds, parts, checks. No I/O."""
