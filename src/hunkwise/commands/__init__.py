"""What `hunkwise` is told to do, a module each, and what they share: they put the parts together."""
