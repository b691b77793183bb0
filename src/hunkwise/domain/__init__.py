"""The domain model of hunkwise: immutable values and pure functions, no I/O."""
