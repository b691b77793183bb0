"""Finds the code that encloses a change: the functions and classes around its hunks."""
