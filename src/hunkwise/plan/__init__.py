"""What to look at: which files, and in which chunks."""
