"""What the status page shows."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from hunkwise.service.records import JobRecord, JobRecords

_DAYS: Final = 14
_MOST_REPOSITORIES: Final = 10
_BAR: Final = 60
"""Height of the highest bar, in pixels."""


async def status_values(records: JobRecords) -> dict[str, Any]:
    """Returns the variables of the page. Raises QueueError."""
    now = datetime.now(UTC)
    active = await records.waiting_and_running()
    costs = await records.cost_by_day(_DAYS)
    return {
        "now": now,
        "running": [_shown(job, now) for job in active if job.status == "doing"],
        "waiting": [_shown(job, now) for job in active if job.status == "todo"],
        "finished": [_shown(job, now) for job in await records.finished()],
        "bars": bars(costs, now.date()),
        "repositories": by_repository(costs),
    }


def _shown(job: JobRecord, now: datetime) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "repository": job.repository,
        "number": job.number,
        "status": job.status,
        "age": _duration((now - job.at).total_seconds()) if job.at else "",
        "exit_code": job.exit_code,
        "duration": _duration(job.seconds) if job.seconds is not None else "",
        "findings": job.outputs.get("findings", ""),
        "message": job.message,
    }


def _duration(seconds: float) -> str:
    """Returns, for example, `4 s`, `3 min` or `5 h`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def bars(costs: Any, today: date) -> list[dict[str, Any]]:
    """Returns `day`, `credits`, `calls` and `height` of each of the last days, the oldest first."""
    days = [today - timedelta(days=back) for back in range(_DAYS - 1, -1, -1)]
    calls: defaultdict[date, int] = defaultdict(int)
    spent: defaultdict[date, float] = defaultdict(float)
    for row in costs:
        calls[row["day"]] += row["calls"]
        spent[row["day"]] += row["credits"]
    highest = max((calls[day] for day in days), default=0) or 1
    return [
        {"day": day, "credits": spent[day], "calls": calls[day], "height": round(_BAR * calls[day] / highest)}
        for day in days
    ]


def by_repository(costs: Any) -> list[dict[str, Any]]:
    """Returns `repository`, `jobs`, `calls` and `credits` of the repositories with the most calls."""
    totals: dict[str, dict[str, Any]] = {}
    for row in costs:
        total = totals.setdefault(
            row["repository"], {"repository": row["repository"], "jobs": 0, "calls": 0, "credits": 0.0}
        )
        for key in ("jobs", "calls", "credits"):
            total[key] += row[key]
    return sorted(totals.values(), key=lambda total: (-total["calls"], total["repository"]))[
        :_MOST_REPOSITORIES
    ]
