"""Fuzzes one target in this process until its time is over: `python -m fuzz.child NAME [libFuzzer's arguments]`."""

from __future__ import annotations

import importlib
import sys


def main(arguments: list[str]) -> None:
    """Never returns: libFuzzer ends the process, with another code than 0 where a property did not hold."""
    # By name, because only those who fuzz have it.
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["hunkwise"], enable_loader_override=False):
        targets = importlib.import_module("fuzz.targets")
    name, *rest = arguments
    atheris.Setup([f"fuzz.child {name}", *rest], targets.TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
