"""Test doubles for GitHub, the model providers and the Copilot API, all on loopback."""
