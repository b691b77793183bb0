"""The commands of `hunkwise`, a module for each, and what they share. They connect the other packages."""
