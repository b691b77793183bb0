"""Measures the time from the start of the container to the first request to the model."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.end_to_end.world import finding, report_call, wait_until
from tests.fakes.model_script import Answer, ModelRequest
from tests.image.container_world import ContainerWorld
from tests.image.engine import Engine
from tests.image.process_times import began, child_named, spent

_RUNS = 5
_ANSWER_SECONDS = 1.5
"""How long the model takes, so that the engine can be asked for the process meanwhile."""


def test_time_to_first_model_request(tmp_path: Path, engine: Engine, figures: list[str]) -> None:
    """Prints figures without a limit, since the machine may be busy."""
    seen = [first_request(tmp_path / f"run{number}", engine) for number in range(_RUNS)]
    by_client, by_entry, processor = (median(times) for times in zip(*seen, strict=True))
    spread = f"{min(one[1] for one in seen):.2f} to {max(one[1] for one in seen):.2f}"
    figures += [
        f"Start to first model request, median of {_RUNS}: {by_entry:.2f} s from the entrypoint ({spread}), "
        f"{by_client:.2f} s from `{engine.program} run`; goal 2.5 s",
        f"  of it {processor:.2f} s of the processor, both processes together; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ]
    assert by_entry <= by_client


def first_request(folder: Path, engine: Engine) -> tuple[float, float, float]:
    """Returns seconds to the model's first request, since the engine's call and since the first process began,

    and the CPU seconds of that process and the sidecar until then.
    """
    moments: list[float] = []

    def answer(request: ModelRequest) -> Answer:
        moments.append(time.clock_gettime(time.CLOCK_BOOTTIME))
        return replace(report_call(finding()), delay=_ANSWER_SECONDS)

    with ExitStack() as stack:
        world = ContainerWorld(folder, stack, engine)
        world.change(script=answer)
        step = world.container_step()
        called = time.clock_gettime(time.CLOCK_BOOTTIME)
        with step.started() as process:
            wait_until(lambda: bool(moments))
            first = engine.process_id(step.container)
            entered = began(first)
            processor = spent(first) + spent(child_named(first, "copilot-runtime"))
            result = world.record(step.finish(process))
        assert result.code == 0, result.log + result.errors
        world.check()
    return moments[0] - called, moments[0] - entered, processor
