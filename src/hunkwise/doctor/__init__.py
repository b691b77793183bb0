"""The checks of `hunkwise doctor`. Each is a small function that returns a line, with a remedy where needed."""
