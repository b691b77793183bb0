"""Prompt tests: known changes are reviewed, and what is found is measured by what should be."""
