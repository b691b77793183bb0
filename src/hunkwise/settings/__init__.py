"""What was asked for: inputs, the runner's environment, the event and the configuration, as frozen values."""
