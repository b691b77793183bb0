"""The status page: who may see it, and what it shows."""

from __future__ import annotations

import base64
import hmac
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from hunkwise import __version__
from hunkwise.service.database import QueueError
from hunkwise.service.queue import JobQueue
from hunkwise.service.records import JobRecord, JobRecords
from hunkwise.service.settings import ServiceSettings

_DAYS: Final = 14
_MOST_REPOSITORIES: Final = 10
_BAR: Final = 60
"""Height of the highest bar, in pixels."""
_REFRESH: Final = 10
"""Seconds after which the status page loads itself again."""
_LOOPBACK: Final = ("127.0.0.1", "::1")
_REFUSAL: Final = (
    "The status page needs a password here: set HUNKWISE_PASSWORD_FILE.\n"
    "Without one it is served at the port for metrics, to this machine only.\n"
)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class StatusPage:
    """The handler of the page."""

    def __init__(self, settings: ServiceSettings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue

    async def show(self, request: Request, *, public: bool) -> Response:
        """Returns the status page. `public`: at the port for webhooks, where it always needs the password."""
        if not self._settings.password and (public or not _is_local(request)):
            return PlainTextResponse(_REFUSAL, 403)
        if self._settings.password and not self._has_password(request):
            challenge = {"WWW-Authenticate": 'Basic realm="hunkwise", charset="UTF-8"'}
            return PlainTextResponse("A password is needed.\n", 401, challenge)
        refresh = 0 if request.query_params.get("refresh") == "off" else _REFRESH
        try:
            values = await _values(JobRecords(self._queue))
        except QueueError as error:
            return PlainTextResponse(f"{error.message}\n", 503)
        page = _template().render(
            version=__version__, server_url=self._settings.server_url, refresh=refresh, **values
        )
        return HTMLResponse(page, headers=_HEADERS)

    def _has_password(self, request: Request) -> bool:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            _, _, given = base64.b64decode(encoded, validate=True).partition(b":")
        except ValueError:
            return False
        return hmac.compare_digest(given, self._settings.password.encode())


def _is_local(request: Request) -> bool:
    """Returns whether the request is from this machine, and not by a name that somebody else has let point to it."""
    client = request.client.host if request.client is not None else ""
    return client in _LOOPBACK and request.url.hostname in ("localhost", *_LOOPBACK)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hunkwise.service", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("status.html.j2")


async def _values(records: JobRecords) -> dict[str, Any]:
    """Returns the variables of the page. Raises QueueError."""
    now = datetime.now(UTC)
    active = await records.waiting_and_running()
    costs = await records.cost_by_day(_DAYS)
    return {
        "now": now,
        "running": [_row(job, now) for job in active if job.status == "doing"],
        "waiting": [_row(job, now) for job in active if job.status == "todo"],
        "finished": [_row(job, now) for job in await records.finished()],
        "bars": bars(costs, now.date()),
        "repositories": by_repository(costs),
    }


def _row(job: JobRecord, now: datetime) -> dict[str, Any]:
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
