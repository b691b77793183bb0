"""`hunkwise eval`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.commands.backend import Backend, select_backend
from hunkwise.commands.run import write_whole
from hunkwise.commands.signals import Signals
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.doctor.checks import secrets_of
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.evaluation.cassette import CassetteHeader, ReplayModels, read_header, tape_path, write_header
from hunkwise.evaluation.dataset import Case, read_cases
from hunkwise.evaluation.preparation import EvalSettings, ReadyCase, make_ready
from hunkwise.evaluation.report import Comparison, as_json, compare, comparison_json, read_report
from hunkwise.evaluation.results import CaseResult, Evaluation
from hunkwise.evaluation.run import CaseRunner, Checkpoint, EvalRunner, ModelFactory, settings_key, state_path
from hunkwise.evaluation.table import as_markdown, as_text
from hunkwise.flows.base_config import base_texts
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.repository.trees import ScratchRepository, WorkingTree
from hunkwise.settings.inputs import DEFAULT_CONFIG_PATH

MAX_PARALLEL: Final = 16


@dataclass(frozen=True)
class Options:
    """One evaluation as it was asked for."""

    cases: Path
    repository: Path
    model: str | None
    config: str | None
    judge: str | None
    against: Path | None
    max_regression: float
    record: Path | None
    replay: Path | None
    output: Path | None
    format: str
    fresh: bool
    parallel: int

    @property
    def config_path(self) -> str:
        return self.config or DEFAULT_CONFIG_PATH

    def check_config(self, found: bool) -> None:
        """Raises SettingsError where a configuration was named and is not there; the usual one may be missing."""
        if self.config is not None and not found:
            said = (
                f"--config {self.config}: there is no such file in {self.repository}; name it from its root."
            )
            raise SettingsError([said])

    def check_comparable(self, earlier: Evaluation, cases: Sequence[Case]) -> None:
        """Raises SettingsError where no case could be compared: a gate that cannot fail is none."""
        now = {(case.name, case.digest) for case in cases}
        if not any((one.name, one.digest) in now for one in earlier.evaluated):
            said = (
                f"--against {self.against}: it has measured none of these cases as they are now; name a report of "
                "the same cases, or leave the option out."
            )
            raise SettingsError([said])


def read_options(arguments: argparse.Namespace) -> Options:
    """Raises SettingsError with all faults."""
    faults: list[str] = []
    if not 1 <= arguments.parallel <= MAX_PARALLEL:
        faults.append(f"--parallel is {arguments.parallel}; it must be 1 to {MAX_PARALLEL} cases.")
    drop = arguments.max_regression
    if drop is not None and not 0 <= drop <= 1:
        faults.append(f"--max-regression is {drop:g}; it must be 0 to 1, 0.05 for five points of F1 say.")
    if drop is not None and arguments.against is None:
        faults.append("--max-regression needs --against FILE: there is nothing to compare with.")
    if arguments.replay is not None and arguments.fresh:
        faults.append("--fresh has no use with --replay, which always begins anew: leave it out.")
    output = _path(arguments.output)
    if output is not None and not output.absolute().parent.is_dir():
        faults.append(f"--output {output}: there is no such folder; make it first.")
    if output is not None and output.is_dir():
        faults.append(f"--output {output}: it is a folder; name a file in it.")
    if faults:
        raise SettingsError(faults)
    return Options(
        cases=Path(arguments.cases),
        repository=Path(arguments.repository),
        model=arguments.model,
        config=arguments.config,
        judge=arguments.judge,
        against=_path(arguments.against),
        max_regression=drop or 0.0,
        record=_path(arguments.record),
        replay=_path(arguments.replay),
        output=output,
        format=arguments.format,
        fresh=arguments.fresh,
        parallel=arguments.parallel,
    )


def _path(said: str | None) -> Path | None:
    return None if said is None else Path(said)


def report(options: Options, evaluation: Evaluation, comparison: Comparison | None, scan: SecretScan) -> bool:
    """Prints it, and writes it where --output says; whether that was possible."""
    told = comparison_json(comparison) if comparison is not None else None
    contents = without_secrets(as_json(evaluation, told), scan)
    match options.format:
        case "json":
            said = json.dumps(contents, indent=1)
        case "markdown":
            said = scan.redacted(as_markdown(evaluation, comparison))
        case _:
            said = scan.redacted(as_text(evaluation, comparison))
    sys.stdout.write(f"{said}\n")
    return options.output is None or bool(write_whole(options.output, contents))


def close(state: Checkpoint | None, evaluation: Evaluation) -> None:
    """What was measured is kept until all of it is."""
    if state is None:
        return
    if not evaluation.failed:
        state.forget()
    elif evaluation.evaluated:
        done = len(evaluation.evaluated)
        kept = "1 case is" if done == 1 else f"{done} cases are"
        say(f"{kept} kept in {state.path}: the same command asks the others alone.")


def exit_code(evaluation: Evaluation, comparison: Comparison | None, *, written: bool) -> ExitCode:
    for marks in evaluation.failed:
        assert marks.failure is not None, "it is among those that failed"
        say(f'The case "{marks.name}" failed: {marks.failure.message}')
    if not evaluation.evaluated:
        return ExitCode.NO_REVIEW
    if comparison is not None and comparison.regressed:
        return ExitCode.GATE
    return ExitCode.PARTIAL if evaluation.failed or not written else ExitCode.REVIEWED


def say(text: str) -> None:
    sys.stderr.write(f"{plain(text)}\n")


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
        store = stack.enter_context(closing(ScratchRepository()))
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


def _who(
    options: Options, environ: Mapping[str, str], stack: ExitStack
) -> tuple[CassetteHeader, Backend | None]:
    """Who answers, as a recording keeps it; nobody where one is replayed."""
    if options.replay is not None:
        header = read_header(options.replay)
        model, judge = options.model or header.model, options.judge or header.judge
        return CassetteHeader(model=model, judge=judge, demo=header.demo), None
    by = select_backend(options.model, environ, stack)
    return CassetteHeader(model=by.model, judge=options.judge, demo=by.demo), by


def _rules(options: Options, header: CassetteHeader) -> EvalSettings:
    """Configuration, templates and instructions of the working tree: what the author of prompts is about to change."""
    tree = WorkingTree(options.repository)
    options.check_config(tree.read(options.config_path) is not None)
    texts = base_texts(tree, options.config_path, lambda config: config)
    for note in texts.notes:
        say(note)
    config = texts.config.with_overrides({"model": header.model} if header.model else {})
    return EvalSettings(config, texts.templates, texts.instructions, header.demo)


def _say_unprovable(cases: tuple[ReadyCase, ...]) -> None:
    """A case of which nothing will be asked is told before it is measured."""
    for ready in cases:
        if not ready.prepared.plan.works:
            say(f'Of the case "{ready.case.name}" nothing is put before a model: all of it is left out.')


def _settings(rules: EvalSettings, header: CassetteHeader) -> str:
    """Digest of all that decides on results beside the cases."""
    return settings_key(
        rules.config, rules.templates, rules.instructions, demo=header.demo, judge=header.judge
    )


def _state(
    options: Options, settings: str, scan: SecretScan, environ: Mapping[str, str]
) -> Checkpoint | None:
    """None for a replay, which costs nothing."""
    if options.replay is not None:
        return None
    state = Checkpoint(state_path(options.output, options.cases, environ), settings, scan)
    if options.fresh:
        state.forget()
    else:
        state.load()
    return state


@dataclass(frozen=True)
class _Work:
    """The cases on an event loop."""

    options: Options
    header: CassetteHeader
    rules: EvalSettings
    settings: str
    state: Checkpoint | None
    scan: SecretScan
    environ: Mapping[str, str]

    def run(self, cases: tuple[ReadyCase, ...], by: Backend | None, stack: ExitStack) -> Evaluation:
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
        self, cases: tuple[ReadyCase, ...], by: Backend | None, signals: Signals, stack: ExitStack
    ) -> Callable[[], AbstractAsyncContextManager[ModelFactory]]:
        signals.install()
        if self.options.replay is not None:
            replays = ReplayModels(self.options.replay, [ready.case.name for ready in cases])
            return lambda: nullcontext[ModelFactory](replays)
        assert by is not None, "whoever replays asks nobody"
        known = [ready.case.name for ready in cases if self._known(ready.case) is not None]
        if known:
            say(
                f"{len(known)} of {len(cases)} cases: measured already by a run that was ended (--fresh: again)."
            )
        sidecar = Sidecar(find_cli(self.environ), by.credential, self.environ)
        stack.callback(sidecar.stop)
        sidecar.start()
        signals.heed()
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import EvalBackend, asking

        config = self.rules.config
        asked = EvalBackend(
            by.provider, config.lineup, self.header.judge, config.deadline, self.options.record, self.scan
        )
        return lambda: asking(sidecar, asked)

    async def _course(
        self,
        cases: tuple[ReadyCase, ...],
        opening: Callable[[], AbstractAsyncContextManager[ModelFactory]],
        signals: Signals,
    ) -> tuple[CaseResult, ...]:
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
                    course = EvalRunner(
                        CaseRunner(self.header.judge, interrupted, time.monotonic),
                        cast,
                        self._known,
                        self._keep,
                        told,
                        self.options.parallel,
                    )
                    return await course.run(cases)
        finally:
            signals.hold()

    def _known(self, case: Case) -> CaseResult | None:
        if self.state is None:
            return None
        record = self.options.record
        recorded = record is None or tape_path(record, case.name).is_file()
        return self.state.of(case) if recorded else None

    def _keep(self, marks: CaseResult) -> None:
        if self.state is not None:
            self.state.add(marks)


def _soon(loop: asyncio.AbstractEventLoop, interrupted: asyncio.Event) -> None:
    loop.call_soon_threadsafe(interrupted.set)
