"""What `hunkwise doctor` looks at: each check is a small function that gives a line, with a remedy where needed."""
