"""For all tests: what stands in shared modules shows its values when an assertion fails."""

import os
import sys

import pytest
from hypothesis import settings

from tests.hard_diffs import AT_HAND, CASES

pytest.register_assert_rewrite(
    "tests.end_to_end", "tests.copilot", "tests.forge", "tests.fakes", "tests.redteam", "tests.fuzz"
)
# The same examples in each run of CI: what fails there fails here, and nothing fails by chance. On a desk each
# run tries others, and the fuzzer tries many more.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

collect_ignore = [] if AT_HAND else ["domain/test_hard_diffs.py"]


def pytest_report_header() -> str:
    return f"hard diffs: {CASES}" if AT_HAND else f"hard diffs: none at {CASES}, so their cases are not run"


def pytest_sessionfinish() -> None:
    if "tests.fakes.in_process" in sys.modules:  # a worker, or the one process of `-n 0`
        sys.modules["tests.fakes.in_process"].shared_cli.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Here, and not beside the red team's fixtures: under xdist the process that prints loads no more than this.
    from tests.redteam.counts import tell

    tell(terminalreporter)
