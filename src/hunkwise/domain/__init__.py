"""The words of hunkwise: pure values, no I/O."""
