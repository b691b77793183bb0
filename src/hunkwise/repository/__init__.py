"""The code under review: Git objects at a pinned SHA, and working trees for local previews."""
