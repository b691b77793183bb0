"""Coverage-guided fuzzing: the same properties as in tests/fuzz, on inputs that a fuzzer grows."""
