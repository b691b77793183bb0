"""Places, renders and sanitizes everything that is posted; all functions return plain values."""
