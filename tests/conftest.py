"""For all tests: what stands in shared modules shows its values when an assertion fails."""

import pytest

pytest.register_assert_rewrite("tests.end_to_end", "tests.copilot", "tests.forge", "tests.fakes")
