"""The benchmark: `python -m bench` measures whole runs of the action and prints them next to their goals."""
