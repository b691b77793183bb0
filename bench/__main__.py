"""`python -m bench` prints a table of measurements, and writes bench.json into the current folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.django import DownloadError
from tests.image.engine import NoImageError

from bench.cases import CASES
from bench.children import BenchError, compile_bytecode
from bench.figures import Figure, as_json, figures, table
from bench.runs import measure


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 where everything could be measured, even if a goal is missed, otherwise 1."""
    arguments = _parser().parse_args(argv)
    chosen = [case for case in CASES if not arguments.only or case.name in arguments.only]
    before = os.getloadavg()[0]
    compile_bytecode()
    found: list[Figure] = []
    for case in chosen:
        runs = 1 if arguments.quick else arguments.runs or case.runs
        try:
            new = figures(case, list(measure(case, runs)))
        except (NoImageError, DownloadError) as error:
            print(f"\n{case.name}: {case.title}; not measured: {error}", flush=True)
            continue
        except BenchError as error:
            print(f"bench: {case.name}: {error}", file=sys.stderr)
            return 1
        print(table(case, new), flush=True)
        found += new
    load = (before, os.getloadavg()[0])
    arguments.out.write_text(json.dumps(as_json(found, load), indent=2) + "\n")
    missed = sum(figure.met is False for figure in found)
    print(f"\nLoad {load[0]:.1f} before, {load[1]:.1f} after, on {os.cpu_count()} cores.", end=" ")
    print(f"{missed} goals missed. Written to {arguments.out}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures hunkwise on loopback, next to its goals."
    )
    names = [case.name for case in CASES]
    parser.add_argument("--quick", action="store_true", help="run everything once")
    parser.add_argument("--runs", type=int, metavar="N", help="run everything N times (default: 1 to 5)")
    parser.add_argument("--only", action="append", choices=names, help="this case alone; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="default: bench.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
