"""The code under review, as git objects at a pinned SHA."""
