"""Measures several Copilot CLIs that run as servers: `python -m bench.pool` prints the numbers of one run as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from copilot.session import ProviderConfig
from tests.copilot.sessions import Question, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import report
from tests.fakes_contract.cli import OFFLINE, RealCli, running_cli

from bench import cases
from bench.children import BenchError, peak_megabytes
from hunkwise.copilot.pool import open_pool

QUESTIONS, LATENCY = 64, 1.0
"""Asked at the same time, of a model with this latency in seconds."""
MANY = 300
"""Questions of one server, each a session of its own."""


def ask_once() -> dict[str, float]:
    """Asks one server, then two, then one as much as a worker asks in hours."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hunkwise-bench-")))
        model = ScriptedModel(report(), latency=LATENCY)
        url = stack.enter_context(serve(model))
        servers = [stack.enter_context(running_cli(folder / name, OFFLINE)) for name in ("one", "two")]
        one, two = (asyncio.run(_ask(servers[:count], url, QUESTIONS)) for count in (1, 2))
        model.latency = 0.0
        asyncio.run(_ask(servers[1:], url, MANY - QUESTIONS // 2))
        return {
            cases.ONE_SERVER: one,
            cases.TWO_SERVERS: two,
            cases.SERVER_MEMORY: peak_megabytes(servers[1].process.pid),
        }


async def _ask(servers: list[RealCli], url: str, count: int) -> float:
    """Returns the seconds until all questions are answered. Raises BenchError."""
    addresses = [server.address for server in servers]
    question = Question(seconds=120.0, provider=ProviderConfig(type="openai"))
    async with open_pool(addresses) as pool:
        await pool.wait_until_tried()
        began = time.monotonic()
        answers = await asyncio.gather(*(put(pool, url, question) for _ in range(count)))
        seconds = time.monotonic() - began
    if errors := [answer.error for answer in answers if answer.error is not None]:
        raise BenchError(f"{len(errors)} questions failed: {errors[0]}")
    return seconds


if __name__ == "__main__":
    print(json.dumps(ask_once()), file=sys.stdout)
