"""Settings for all tests, for example assertion details in shared modules."""

import gc
import os
import random
import sys

import pytest
from hypothesis import settings

from tests.hard_diffs import AVAILABLE, CASES

IN_PROCESSES = "HUNKWISE_TESTS_IN_PROCESSES"
"""Set where steps and commands run in processes of their own; read by tests/fakes/command_line.py."""

pytest.register_assert_rewrite(
    "tests.end_to_end", "tests.copilot", "tests.github", "tests.fakes", "tests.redteam", "tests.fuzz"
)
# CI always runs the same examples, so that failures can be repeated. Elsewhere each run tries others, and the fuzzer
# many more.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

collect_ignore = [] if AVAILABLE else ["domain/test_hard_diffs.py"]


STEP_FIXTURES = {"world", "terminal"}
"""A test with one of these fixtures runs steps or commands."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--in-processes",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="run only this share (0 to 1) of the tests that run steps, each step in a process of its own",
    )
    parser.addoption("--seed", type=int, default=0, help="seed for the choice of --in-processes (default: 0)")


def pytest_configure(config: pytest.Config) -> None:
    # GitHub's contracts make a large heap, in which frequent garbage collection is slow: this saved 9 s of 57 s for
    # 1,092 tests.
    gc.set_threshold(50_000, 20, 50)
    if config.option.in_processes:
        os.environ[IN_PROCESSES] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share, seed = config.option.in_processes, config.option.seed
    if not share:
        return

    def is_chosen(item: pytest.Item) -> bool:
        runs_steps = bool(STEP_FIXTURES.intersection(getattr(item, "fixturenames", ())))
        return runs_steps and random.Random(f"{seed} {item.nodeid}").random() < share

    chosen = [item for item in items if is_chosen(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [
        f"hard diffs: {CASES}" if AVAILABLE else f"hard diffs: none at {CASES}, so their cases are not run"
    ]
    if config.option.in_processes:
        lines.append(
            f"steps in processes: {config.option.in_processes:.0%} of their tests, --seed {config.option.seed}"
        )
    return lines


def pytest_sessionfinish() -> None:
    if "tests.fakes.command_line" in sys.modules:  # a worker, or the one process of `-n 0`
        sys.modules["tests.fakes.command_line"].shared_cli.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Not in tests/redteam/conftest.py: under xdist the printing process loads this file only.
    from tests.redteam.counts import print_counts

    print_counts(terminalreporter)
