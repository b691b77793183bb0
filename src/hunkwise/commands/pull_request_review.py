"""Composes the review of a pull request: GitHub and the checkout on one side, the model on the other.

Importing this module imports PyGithub and pydantic; the SDK follows when the fetching has begun.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from hunkwise.commands.journal import Journal
from hunkwise.commands.publishing import Finished, Publishing
from hunkwise.commands.reading import Reading
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.walkthrough import NOTHING_TOLD
from hunkwise.errors import Error
from hunkwise.flows.review import Order, Ready
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import ReviewTask
from hunkwise.settings.inputs import Inputs


class PullRequestReview:
    """Reviews one pull request. Constructed after the sidecar was started; `run` does everything else."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        started: float,
        signals: Signals,
        log: Callable[[str], None],
    ) -> None:
        self._inputs = inputs
        self._started = started
        self._signals = signals
        self._log = log
        self._reading = Reading(environment, inputs, started)
        self._journal = Journal(environment.reports.inside / "journal.jsonl", self._reading.scan.found_in)
        self._publishing: Publishing | None = None

    def run(self, task: ReviewTask, where: Sidecar | Sequence[Address], *, demo: bool = False) -> Finished:
        """Fetches, asks, publishes. Raises Error where no review can be made."""
        fetching: Future[Ready] = in_background(lambda: self._fetch(task.number, demo=demo))
        # The SDK is imported while GitHub answers: one waits for the network, the other for the processor.
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import Backend, Run

        backend = Backend(where, self._inputs.provider)
        run = Run(
            backend,
            fetching,
            self._journal,
            self._progress,
            self._signals,
            self._started,
            self._reading.deadlines,
        )
        try:
            review = asyncio.run(run.review())
            assert self._publishing is not None, "a review is of what was fetched"
            return self._publishing.publish(review)
        except Error as error:
            if self._publishing is not None:
                self._publishing.abandon(error)
            raise
        finally:
            if self._publishing is not None:
                self._publishing.announcement.close()
            self._reading.close()

    def _progress(self, done: int, total: int) -> None:
        publishing = self._publishing
        assert publishing is not None, "nothing is asked before it was fetched"
        if done:
            self._log(f"Reviewed {done} of {total} parts of the change.")
            publishing.progress(done, total)
        else:
            publishing.begin()

    def _fetch(self, number: int, *, demo: bool) -> Ready:
        fetched = self._reading.fetch(number)
        head = self._reading.commit(fetched.snapshot.pull_request.head_sha)
        self._publishing = self._reading.publishing(fetched)
        told = fetched.state.told if fetched.state is not None else NOTHING_TOLD
        order = Order(
            fetched.snapshot,
            fetched.texts.config,
            fetched.texts.templates,
            demo=demo,
            state=fetched.state,
            full=self._inputs.full_review,
            earlier_summary=told.overview,
            earlier_walkthrough=told.walkthrough,
        )
        return Ready(order, head)


def in_background(work: Callable[[], Ready]) -> Future[Ready]:
    """Runs `work` in a thread that nobody waits for when the process ends."""
    future: Future[Ready] = Future()
    future.set_running_or_notify_cancel()  # so that whoever stops waiting does not cancel it

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # carried to whoever awaits the result
            future.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return future
