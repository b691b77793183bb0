"""Tracks findings of earlier runs: found again, moved, fixed, or dismissed by a trusted user."""
