"""Says at the end of a run of tests how much of the red-team suite was played, group by group."""

from __future__ import annotations

from collections import defaultdict

import pytest

ATTACK = "attack"
_FOLDER = "tests/redteam/test_"
_NOT_PLAYED = frozenset({"checks"})
"""Modules that prove the suite's own means."""


def tell(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a group: its cases, what was tried in them, and what did not hold."""
    groups: dict[str, list[pytest.TestReport]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for one in reports:
            if isinstance(one, pytest.TestReport) and (group := group_of(one.nodeid)):
                groups[group].append(one)
    if groups:
        terminalreporter.section("red team")
    for group in sorted(groups):
        terminalreporter.write_line(line_of(group, groups[group]))


def group_of(nodeid: str) -> str | None:
    """The group's name in words, or None for a test of something else."""
    name = nodeid.partition(_FOLDER)[2].partition(".py")[0]
    return name.replace("_", " ") if name and name not in _NOT_PLAYED else None


def line_of(group: str, reports: list[pytest.TestReport]) -> str:
    """A group in one line. A case that fails in its test and in its checks as well is one that did not hold."""
    played = {one.nodeid: one for one in reports if one.when == "call"}
    broken = {one.nodeid for one in reports if one.failed}
    tried = sum(max(1, sum(name == ATTACK for name, _ in one.user_properties)) for one in played.values())
    outcome = f"{len(broken)} DID NOT HOLD" if broken else "all held"
    return f"{group:<30} {len(played):>4} cases, {tried:>4} attacks: {outcome}"
