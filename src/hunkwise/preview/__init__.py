"""What a review would go by and send, shown before anything is spent: no CLI is started and no model asked."""
