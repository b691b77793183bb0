"""Prompt templates and their rendering, and the schemas of the report tools."""
