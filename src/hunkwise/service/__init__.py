"""hunkwise as a service: a GitHub App whose webhooks become jobs of workers."""
