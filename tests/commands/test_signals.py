"""Signals in this very process, whose own handlers are put back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from hunkwise.commands.signals import Signals
from hunkwise.errors import ModelError

BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = [(number, signal.getsignal(number)) for number in BOTH]
    made = Signals()
    made.install()
    yield made
    for number, handler in before:
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_that_came_early_is_told_as_soon_as_somebody_listens(
    signals: Signals, number: signal.Signals
) -> None:
    heard: list[str] = []
    send(number)
    signals.on_signal(lambda: heard.append("told"))
    assert heard == ["told"]


def test_a_second_early_signal_ends_the_run(signals: Signals) -> None:
    signals.raise_on_second()
    send(signal.SIGINT)
    with pytest.raises(ModelError, match="stopped before anything was reviewed"):
        send(signal.SIGTERM)


def test_signals_before_they_may_raise_wait_for_that(signals: Signals) -> None:
    send(signal.SIGINT)
    send(signal.SIGTERM)
    with pytest.raises(ModelError, match="stopped before anything was reviewed"):
        signals.raise_on_second()


def test_a_third_signal_does_not_disturb_what_the_second_one_ends(signals: Signals) -> None:
    signals.raise_on_second()
    send(signal.SIGINT)
    with pytest.raises(ModelError):
        send(signal.SIGTERM)
    send(signal.SIGINT)
    send(signal.SIGTERM)


def test_signals_are_told_while_somebody_listens_and_held_while_publishing(signals: Signals) -> None:
    heard: list[str] = []
    signals.on_signal(lambda: heard.append("told"))
    assert heard == []
    send(signal.SIGTERM)
    signals.ignore()
    send(signal.SIGTERM)
    assert heard == ["told"]
