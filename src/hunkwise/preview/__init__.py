"""Shows the settings and prompts of a review before anything is spent. Starts no CLI and asks no model."""
