"""The options of `hunkwise eval`. Imports nothing of it: every command's parser is made with it."""

from __future__ import annotations

import argparse


def add_eval(parser: argparse.ArgumentParser) -> None:
    """Beside those that `hunkwise review` has as well."""
    parser.add_argument("cases", metavar="CASES", help="a folder of case folders, or one case")
    parser.add_argument(
        "--judge", metavar="MODEL", help="a model that decides whether two texts say the same"
    )
    parser.add_argument("--against", metavar="FILE", help="compare with an earlier --output")
    parser.add_argument(
        "--max-regression",
        metavar="F1_DROP",
        type=float,
        help="with --against: exit 1 when F1 drops by more (default: 0; 0.05 is five points)",
    )
    tapes = parser.add_mutually_exclusive_group()
    tapes.add_argument("--record", metavar="DIR", help="keep the models' answers there")
    tapes.add_argument("--replay", metavar="DIR", help="take the answers from there: no model, no network")
    parser.add_argument("--output", metavar="FILE", help="write the JSON report there")
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="what is printed (default: text for people)",
    )
    starts = parser.add_mutually_exclusive_group()
    starts.add_argument(
        "--resume",
        dest="fresh",
        action="store_false",
        help="go on where a run was ended (the default)",
    )
    starts.add_argument("--fresh", action="store_true", help="measure every case again")
    parser.set_defaults(fresh=False)
    parser.add_argument(
        "--parallel", metavar="N", type=int, default=2, help="cases at the same time (default: 2)"
    )
