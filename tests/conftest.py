"""For all tests: what stands in shared modules shows its values when an assertion fails."""

import pytest

from tests.hard_diffs import AT_HAND, CASES

pytest.register_assert_rewrite("tests.end_to_end", "tests.copilot", "tests.forge", "tests.fakes")

collect_ignore = [] if AT_HAND else ["domain/test_hard_diffs.py"]


def pytest_report_header() -> str:
    return f"hard diffs: {CASES}" if AT_HAND else f"hard diffs: none at {CASES}, so their cases are not run"
