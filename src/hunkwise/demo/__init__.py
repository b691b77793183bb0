"""A stand-in for a model that works by fixed rules: no account, no network, no understanding."""
