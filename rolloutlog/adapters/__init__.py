"""Sessions in the shape that other libraries want them. Each module needs its library only when it is used."""
