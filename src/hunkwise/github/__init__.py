"""GitHub: the only folder that imports `github`."""
