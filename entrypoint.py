"""Starts hunkwise as a GitHub Action: `python entrypoint.py` with the runner's environment set.

Needs nothing installed for the Python that runs it: where the packages are in the checkout's `.venv`, it goes
on with that one's Python.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv" / "bin" / "python"

if importlib.util.find_spec("copilot") is None:
    if not VENV.is_file() or sys.prefix == str(VENV.parents[1]):
        sys.exit("::error::hunkwise is not set up: run `make setup` in its checkout.")
    os.execv(VENV, [str(VENV), str(Path(__file__).resolve()), *sys.argv[1:]])  # our own Python

sys.path.insert(0, str(ROOT / "src"))

from hunkwise.cli import run_process  # noqa: E402  # found only now

run_process(sys.argv[1:] or ["action"])
