"""Stand-ins for what tests cannot have: GitHub, the model providers, the Copilot API. All on loopback."""
