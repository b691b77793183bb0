"""`python -m hunkwise`."""

from hunkwise.cli import run_process

run_process()
