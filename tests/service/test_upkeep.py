"""Redelivery of webhooks that the service missed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hunkwise.errors import Error
from hunkwise.service.installation import HookDelivery
from hunkwise.service.queue import JobQueue
from hunkwise.service.upkeep import Chore, missed_deliveries, redeliver_missed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def attempt(number: int, guid: str, minute: float, *, ok: bool = False) -> HookDelivery:
    return HookDelivery(number, guid, NOON + timedelta(minutes=minute), ok)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], []),
        ([attempt(1, "a", 5, ok=True)], []),
        ([attempt(1, "a", 5), attempt(2, "b", 3)], [2, 1]),
        ([attempt(1, "a", 5), attempt(2, "a", 6, ok=True)], []),
        # Answered after the time that is looked at: another worker has asked for it.
        ([attempt(1, "a", 5), attempt(2, "a", 10.5, ok=True)], []),
        ([attempt(1, "a", 5), attempt(2, "a", 6)], [2]),
        # The attempt at 10.5 may still be answered, or is looked at next time.
        ([attempt(1, "a", 5), attempt(2, "a", 10.5)], []),
        ([attempt(1, "a", 0), attempt(2, "b", 10), attempt(3, "c", 10.1)], [2]),
    ],
)
def test_missed_deliveries_are_those_without_an_answer(
    attempts: list[HookDelivery], expected: list[int]
) -> None:
    found = missed_deliveries(attempts, NOON, NOON + timedelta(minutes=10))
    assert [one.id for one in found] == expected


class Port:
    """Has missed webhooks, and succeeds each time that it sends one again."""

    def __init__(self, count: int, minutes_apart: float) -> None:
        self.attempts = [
            attempt(number, f"guid-{number}", 1 + minutes_apart * number) for number in range(1, count + 1)
        ]
        self.redelivered: list[int] = []

    def deliveries(self, since: datetime) -> list[HookDelivery]:
        return [one for one in self.attempts if one.at > since]

    def redeliver(self, delivery: int) -> None:
        self.redelivered.append(delivery)
        self.attempts.append(attempt(100 + delivery, f"guid-{delivery}", 20, ok=True))


@pytest.mark.parametrize("minutes_apart", [0, 1])
def test_after_a_long_outage_webhooks_are_redelivered_in_parts(database: str, minutes_apart: float) -> None:
    port = Port(12, minutes_apart)

    async def look() -> list[int]:
        async with JobQueue(database).opened() as queue:
            times = [NOON + timedelta(minutes=minutes) for minutes in (20, 30, 40, 41, 50)]
            return [await redeliver_missed(queue, port, now, most=5) for now in times]

    # At 41 another worker looks, just after the one at 40.
    assert asyncio.run(look()) == [5, 5, 2, 0, 0]
    assert sorted(port.redelivered) == list(range(1, 13))


def test_a_chore_is_repeated_after_any_failure() -> None:
    failures: list[Exception] = [ValueError("an odd time"), OSError("a folder"), Error("GitHub is gone.")]
    done: list[int] = []

    async def work() -> None:
        if failures:
            raise failures.pop()
        done.append(1)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Chore("Cleaning", 0.0, work).repeat(), 0.1)

    asyncio.run(main())
    assert done
