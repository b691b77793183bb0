"""What leaves the house, as pure values: placed, rendered, and made harmless."""
