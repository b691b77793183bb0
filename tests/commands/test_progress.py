"""Progress on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import threading
import time

import pytest
from rich.console import Console

from hunkwise.commands.progress import progress

PIPE = Console(file=io.StringIO(), force_terminal=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Returns the lines so far, without their seconds."""
    return [line.partition(" (")[0] for line in capsys.readouterr().err.splitlines()]


def test_bar_is_on_a_terminal() -> None:
    paper = io.StringIO()
    with progress(Console(file=paper, force_terminal=True), "Reading") as update:
        update(1, 2)
    assert "Reading" in paper.getvalue()
    assert "1/2" in paper.getvalue()


def test_pipe_gets_the_first_and_the_last_line_within_the_interval(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(PIPE, interval=3_600) as update:
        for done in range(9):
            update(done, 8)
        assert lines(capsys) == ["Reviewing: 0 of 8 parts"]
    assert lines(capsys) == ["Reviewing: 8 of 8 parts"]


def test_pipe_gets_a_line_after_the_interval_though_no_question_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(PIPE, "Measuring", "case", interval=0.01) as update:
        update(0, 1)
        update(1, 1)
        printed: list[str] = []
        deadline = time.monotonic() + 20
        while len(printed) < 2 and time.monotonic() < deadline:
            printed += lines(capsys)
            threading.Event().wait(0.01)
    assert printed == ["Measuring: 0 of 1 case", "Measuring: 1 of 1 case"]
    assert lines(capsys) == []


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_shown_where_nothing_is_asked_or_wanted(
    terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    paper = io.StringIO()
    with progress(Console(file=paper, force_terminal=terminal), quiet=True) as update:
        update(0, 2)
        update(2, 2)
    with progress(PIPE):
        pass
    assert (paper.getvalue(), capsys.readouterr().err) == ("", "")
    assert [thread.name for thread in threading.enumerate() if thread.name == "progress"] == []
