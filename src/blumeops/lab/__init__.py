"""Files become a typed, immutable lab; every value remembers its file and line."""
