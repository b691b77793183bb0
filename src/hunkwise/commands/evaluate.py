"""`hunkwise eval`: known changes are reviewed with the prompts of the working tree, and the findings measured."""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass

from hunkwise.checkup.masking import secrets_of
from hunkwise.commands.answering import Answering, answering
from hunkwise.commands.evaluate_options import Options, read_options
from hunkwise.commands.evaluate_outcome import close, exit_code, report, say
from hunkwise.commands.signals import Signals
from hunkwise.copilot.command import find
from hunkwise.copilot.environment import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.outcome import ExitCode
from hunkwise.evaluation.case import Case
from hunkwise.evaluation.case_files import read_cases
from hunkwise.evaluation.comparison import compare
from hunkwise.evaluation.course import Cast, Course
from hunkwise.evaluation.evaluation import Evaluation
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.measuring import Measuring
from hunkwise.evaluation.ready import ReadyCase, Rules, make_ready
from hunkwise.evaluation.replaying import Replays
from hunkwise.evaluation.report import read_report
from hunkwise.evaluation.resuming import State, settings_key, state_path
from hunkwise.evaluation.tape import Header, read_header, tape_path, write_header
from hunkwise.flows.base_texts import base_texts
from hunkwise.publish.secrets import SecretScan
from hunkwise.repository.made import MadeRepository
from hunkwise.repository.working_tree import WorkingTree


def evaluate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Measures and prints. Raises Error where nothing can be evaluated at all."""
    refuse_unsafe(environ)
    options = read_options(arguments)
    scan = SecretScan(secrets_of(environ))
    with ExitStack() as stack:
        header, by = _who(options, environ, stack)
        rules = _rules(options, header)
        cases = read_cases(options.cases)
        earlier = read_report(options.against) if options.against else None
        if earlier is not None:
            options.check_comparable(earlier, cases)
        store = stack.enter_context(closing(MadeRepository()))
        ready = make_ready(cases, rules, store)
        _say_unprovable(ready)
        settings = _settings(rules, header)
        state = _state(options, settings, scan, environ)
        if options.record is not None:
            write_header(options.record, header)
        work = _Work(options, header, rules, settings, state, scan, environ)
        evaluation = work.run(ready, by, stack)
    comparison = compare(earlier, evaluation, options.max_regression) if earlier is not None else None
    written = report(options, evaluation, comparison, scan)
    close(state, evaluation)
    return exit_code(evaluation, comparison, written=written)


def _who(options: Options, environ: Mapping[str, str], stack: ExitStack) -> tuple[Header, Answering | None]:
    """Who answers, as a recording keeps it; nobody where one is replayed."""
    if options.replay is not None:
        header = read_header(options.replay)
        model, judge = options.model or header.model, options.judge or header.judge
        return Header(model=model, judge=judge, demo=header.demo), None
    by = answering(options.model, environ, stack)
    return Header(model=by.model, judge=options.judge, demo=by.demo), by


def _rules(options: Options, header: Header) -> Rules:
    """Configuration, templates and instructions of the working tree: what the author of prompts is about to change."""
    tree = WorkingTree(options.repository)
    options.check_config(tree.read(options.config_path) is not None)
    texts = base_texts(tree, options.config_path, lambda config: config)
    for note in texts.notes:
        say(note)
    config = texts.config.with_overrides({"model": header.model} if header.model else {})
    return Rules(config, texts.templates, texts.instructions, header.demo)


def _say_unprovable(cases: tuple[ReadyCase, ...]) -> None:
    """A case of which nothing will be asked is told before it is measured."""
    for ready in cases:
        if not ready.prepared.plan.works:
            say(f'Of the case "{ready.case.name}" nothing is put before a model: all of it is left out.')


def _settings(rules: Rules, header: Header) -> str:
    """Digest of all that decides on results beside the cases."""
    return settings_key(
        rules.config, rules.templates, rules.instructions, demo=header.demo, judge=header.judge
    )


def _state(options: Options, settings: str, scan: SecretScan, environ: Mapping[str, str]) -> State | None:
    """None for a replay, which costs nothing."""
    if options.replay is not None:
        return None
    state = State(state_path(options.output, options.cases, environ), settings, scan)
    if options.fresh:
        state.forget()
    else:
        state.load()
    return state


@dataclass(frozen=True)
class _Work:
    """The cases on an event loop."""

    options: Options
    header: Header
    rules: Rules
    settings: str
    state: State | None
    scan: SecretScan
    environ: Mapping[str, str]

    def run(self, cases: tuple[ReadyCase, ...], by: Answering | None, stack: ExitStack) -> Evaluation:
        """Raises ModelError where nobody answers."""
        started = time.monotonic()
        signals = Signals()
        opening = self._opening(cases, by, signals, stack)
        marks = asyncio.run(self._course(cases, opening, signals))
        lineup = [name for name in self.rules.config.lineup if name is not None]
        return Evaluation(
            marks,
            ", ".join(lineup) or None,
            self.header.judge,
            self.header.demo,
            self.settings,
            time.monotonic() - started,
        )

    def _opening(
        self, cases: tuple[ReadyCase, ...], by: Answering | None, signals: Signals, stack: ExitStack
    ) -> Callable[[], AbstractAsyncContextManager[Cast]]:
        signals.install()
        if self.options.replay is not None:
            replays = Replays(self.options.replay, [ready.case.name for ready in cases])
            return lambda: nullcontext[Cast](replays)
        assert by is not None, "whoever replays asks nobody"
        known = [ready.case.name for ready in cases if self._known(ready.case) is not None]
        if known:
            say(
                f"{len(known)} of {len(cases)} cases: measured already by a run that was ended (--fresh: again)."
            )
        sidecar = Sidecar(find(self.environ), by.credential, self.environ)
        stack.callback(sidecar.stop)
        sidecar.start()
        signals.heed()
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.evaluate_asking import Asked, asking

        config = self.rules.config
        asked = Asked(
            by.provider, config.lineup, self.header.judge, config.deadline, self.options.record, self.scan
        )
        return lambda: asking(sidecar, asked)

    async def _course(
        self,
        cases: tuple[ReadyCase, ...],
        opening: Callable[[], AbstractAsyncContextManager[Cast]],
        signals: Signals,
    ) -> tuple[Marks, ...]:
        from hunkwise.commands.terminal import console, progress

        gc.enable()  # see cli.main
        interrupted = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _loop, _context: None
        )  # see run.py: foreign text, and nothing awaited
        signals.tell(lambda: _soon(loop, interrupted))
        try:
            with progress(console(stderr=True)) as told:
                async with opening() as cast:
                    course = Course(
                        Measuring(self.header.judge, interrupted, time.monotonic),
                        cast,
                        self._known,
                        self._keep,
                        told,
                        self.options.parallel,
                    )
                    return await course.run(cases)
        finally:
            signals.hold()

    def _known(self, case: Case) -> Marks | None:
        if self.state is None:
            return None
        record = self.options.record
        recorded = record is None or tape_path(record, case.name).is_file()
        return self.state.of(case) if recorded else None

    def _keep(self, marks: Marks) -> None:
        if self.state is not None:
            self.state.add(marks)


def _soon(loop: asyncio.AbstractEventLoop, interrupted: asyncio.Event) -> None:
    loop.call_soon_threadsafe(interrupted.set)
