"""The code under review: git objects at a pinned SHA, and a working tree for what its author tries."""
