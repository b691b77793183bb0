"""Reads inputs, the runner's environment, the event and the configuration file into frozen values."""
