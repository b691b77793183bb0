"""Prints at the end of a test run how many red-team cases and attacks were run, by group."""

from __future__ import annotations

from collections import defaultdict

import pytest

ATTACK = "attack"
_FOLDER = "tests/redteam/test_"
_NOT_PLAYED = frozenset({"checks"})
"""Modules that test the suite itself."""


def print_counts(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints a line for each group: its cases, its attacks, and the failures."""
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
    """Returns the group's name, or None for a test outside of the suite."""
    name = nodeid.partition(_FOLDER)[2].partition(".py")[0]
    return name.replace("_", " ") if name and name not in _NOT_PLAYED else None


def line_of(group: str, reports: list[pytest.TestReport]) -> str:
    """Describes a group. A case that fails in its test and in its checks counts once."""
    played = {one.nodeid: one for one in reports if one.when == "call"}
    broken = {one.nodeid for one in reports if one.failed}
    tried = sum(max(1, sum(name == ATTACK for name, _ in one.user_properties)) for one in played.values())
    outcome = f"{len(broken)} DID NOT HOLD" if broken else "all held"
    return f"{group:<30} {len(played):>4} cases, {tried:>4} attacks: {outcome}"
