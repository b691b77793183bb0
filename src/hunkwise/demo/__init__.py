"""A demo model with fixed rules, which needs no account and no network."""
