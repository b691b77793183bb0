"""hunkwise reviews pull requests with GitHub Copilot."""

__version__ = "0.1.0"
