"""The command `hunkwise eval`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.commands.backend import Backend, secrets_of, select_backend
from hunkwise.commands.journal import write_json
from hunkwise.commands.messages import print_message
from hunkwise.commands.signals import Signals, quiet_loop
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.evaluation.cassette import (
    CassetteHeader,
    ReplayModels,
    cassette_path,
    read_header,
    write_header,
)
from hunkwise.evaluation.dataset import Case, read_cases
from hunkwise.evaluation.preparation import EvalSettings, ReadyCase, make_ready
from hunkwise.evaluation.report import Comparison, as_json, compare, comparison_json, read_report
from hunkwise.evaluation.results import CaseResult, Evaluation
from hunkwise.evaluation.run import CaseRunner, Checkpoint, EvalRunner, ModelFactory, settings_key, state_path
from hunkwise.evaluation.table import as_markdown, as_text
from hunkwise.flows.base_config import read_base_texts
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.repository.trees import ScratchRepository, WorkingTree
from hunkwise.settings.config import parse_overrides
from hunkwise.settings.parsing import parse_config_path

MAX_PARALLEL: Final = 16


@dataclass(frozen=True)
class Options:
    """The options of one evaluation."""

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
        return parse_config_path(self.config, "--config")

    def check_config(self, found: bool) -> None:
        """Raises SettingsError where --config names a missing file; the default file may be missing."""
        if self.config is not None and not found:
            message = (
                f"--config {self.config}: there is no such file in {self.repository}; name it from its root."
            )
            raise SettingsError([message])

    def check_comparable(self, earlier: Evaluation, cases: Sequence[Case]) -> None:
        """Raises SettingsError where no case could be compared: such a gate could never fail."""
        current = {(case.name, case.digest) for case in cases}
        if not any((result.name, result.digest) in current for result in earlier.evaluated):
            message = (
                f"--against {self.against}: it has measured none of these cases as they are now; name a report of "
                "the same cases, or leave the option out."
            )
            raise SettingsError([message])


def read_options(arguments: argparse.Namespace) -> Options:
    """Reads and checks the options. Raises SettingsError with all faults."""
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


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def report(options: Options, evaluation: Evaluation, comparison: Comparison | None, scan: SecretScan) -> bool:
    """Prints the report, and writes it to --output. Returns False where the file could not be written."""
    compared = comparison_json(comparison) if comparison is not None else None
    contents = without_secrets(as_json(evaluation, compared), scan)
    match options.format:
        case "json":
            text = json.dumps(contents, indent=1)
        case "markdown":
            text = scan.redacted(as_markdown(evaluation, comparison))
        case _:
            text = scan.redacted(as_text(evaluation, comparison))
    sys.stdout.write(f"{text}\n")
    return options.output is None or bool(write_json(options.output, contents))


def close(state: Checkpoint | None, evaluation: Evaluation) -> None:
    """Removes the state file once all cases are measured; else prints how to resume."""
    if state is None:
        return
    if not evaluation.failed:
        state.forget()
    elif evaluation.evaluated:
        done = len(evaluation.evaluated)
        subject = "1 case is" if done == 1 else f"{done} cases are"
        print_message(f"{subject} kept in {state.path}: the same command asks the others alone.")


def exit_code(evaluation: Evaluation, comparison: Comparison | None, *, written: bool) -> ExitCode:
    """Prints the failed cases, and returns the exit code of the evaluation."""
    for result in evaluation.failed:
        assert result.failure is not None, "it is among those that failed"
        print_message(f'The case "{result.name}" failed: {result.failure.message}')
    if not evaluation.evaluated:
        return ExitCode.NO_REVIEW
    if comparison is not None and comparison.regressed:
        return ExitCode.GATE
    return ExitCode.PARTIAL if evaluation.failed or not written else ExitCode.REVIEWED


def evaluate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Measures the cases and prints the report. Raises Error where no case can be evaluated."""
    refuse_unsafe(environ)
    options = read_options(arguments)
    scan = SecretScan(secrets_of(environ))
    with ExitStack() as stack:
        header, backend = _select_models(options, environ, stack)
        rules = _rules(options, header)
        cases = read_cases(options.cases)
        earlier = read_report(options.against) if options.against else None
        if earlier is not None:
            options.check_comparable(earlier, cases)
        store = stack.enter_context(closing(ScratchRepository()))
        ready = make_ready(cases, rules, store)
        _warn_about_empty_cases(ready)
        settings = _settings(rules, header)
        state = _state(options, settings, scan, environ)
        if options.record is not None:
            write_header(options.record, header)
        work = _Work(options, header, rules, settings, state, scan, environ)
        evaluation = work.run(ready, backend, stack)
    comparison = compare(earlier, evaluation, options.max_regression) if earlier is not None else None
    written = report(options, evaluation, comparison, scan)
    close(state, evaluation)
    return exit_code(evaluation, comparison, written=written)


def _select_models(
    options: Options, environ: Mapping[str, str], stack: ExitStack
) -> tuple[CassetteHeader, Backend | None]:
    """Returns the models, as a recording stores them, and the backend, which is None for a replay."""
    if options.replay is not None:
        header = read_header(options.replay)
        model, judge = options.model or header.model, options.judge or header.judge
        return CassetteHeader(model=model, judge=judge, demo=header.demo), None
    backend = select_backend(options.model, environ, stack)
    return CassetteHeader(model=backend.model, judge=options.judge, demo=backend.demo), backend


def _rules(options: Options, header: CassetteHeader) -> EvalSettings:
    """Reads configuration, templates and instructions from the working tree, where prompts are edited."""
    tree = WorkingTree(options.repository)
    options.check_config(tree.read(options.config_path) is not None)
    texts = read_base_texts(tree, options.config_path, lambda config: config)
    for note in texts.notes:
        print_message(note)
    model = {"model": header.model} if header.model else {}
    config = texts.config.with_overrides(parse_overrides(model, lambda _: "--model or COPILOT_MODEL"))
    config = config.with_all_confidences()
    return EvalSettings(config, texts.templates, texts.instructions, header.demo)


def _warn_about_empty_cases(cases: tuple[ReadyCase, ...]) -> None:
    """Reports each case of which nothing is sent to a model, before it is measured."""
    for ready in cases:
        if not ready.asks:
            print_message(
                f'Of the case "{ready.case.name}" nothing is put before a model: all of it is left out.'
            )


def _settings(rules: EvalSettings, header: CassetteHeader) -> str:
    """Returns a digest of everything besides the cases that results depend on."""
    return settings_key(
        rules.config, rules.templates, rules.instructions, demo=header.demo, judge=header.judge
    )


def _state(
    options: Options, settings: str, scan: SecretScan, environ: Mapping[str, str]
) -> Checkpoint | None:
    """Returns the state file's results of an earlier run; None for a replay, which costs nothing."""
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
    """Runs the cases on an event loop."""

    options: Options
    header: CassetteHeader
    rules: EvalSettings
    settings: str
    state: Checkpoint | None
    scan: SecretScan
    environ: Mapping[str, str]

    def run(self, cases: tuple[ReadyCase, ...], backend: Backend | None, stack: ExitStack) -> Evaluation:
        """Measures all cases. Raises ModelError where the backend does not answer."""
        started = time.monotonic()
        signals = Signals()
        open_models = self._start(cases, backend, signals, stack)
        results = asyncio.run(self._measure(cases, open_models, signals))
        models = [name for name in self.rules.config.model_order if name is not None]
        return Evaluation(
            results,
            ", ".join(models) or None,
            self.header.judge,
            self.header.demo,
            self.settings,
            time.monotonic() - started,
        )

    def _start(
        self, cases: tuple[ReadyCase, ...], backend: Backend | None, signals: Signals, stack: ExitStack
    ) -> Callable[[], AbstractAsyncContextManager[ModelFactory]]:
        """Starts the CLI, except for a replay; returns the function that connects to the models."""
        signals.install()
        if self.options.replay is not None:
            replays = ReplayModels(self.options.replay, [ready.case.name for ready in cases])
            return lambda: nullcontext[ModelFactory](replays)
        assert backend is not None, "it is None for a replay only"
        resumed = [ready.case.name for ready in cases if self._earlier_result(ready.case) is not None]
        if resumed:
            print_message(
                f"{len(resumed)} of {len(cases)} cases: measured already by a run that was ended "
                "(--fresh: again)."
            )
        sidecar = Sidecar(find_cli(self.environ), backend.credential, self.environ)
        stack.callback(sidecar.stop)
        sidecar.start()
        signals.raise_on_second()
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import EvalBackend, connect_models

        config = self.rules.config
        settings = EvalBackend(
            backend.provider,
            config.model_order,
            self.header.judge,
            config.deadline,
            self.options.record,
            self.scan,
        )
        return lambda: connect_models(sidecar, settings)

    async def _measure(
        self,
        cases: tuple[ReadyCase, ...],
        open_models: Callable[[], AbstractAsyncContextManager[ModelFactory]],
        signals: Signals,
    ) -> tuple[CaseResult, ...]:
        from hunkwise.commands.run import enable_collection
        from hunkwise.commands.terminal import console, progress

        enable_collection()
        with quiet_loop(signals) as interrupted, progress(console(stderr=True)) as report_progress:
            async with open_models() as models:
                runner = EvalRunner(
                    CaseRunner(self.header.judge, interrupted, time.monotonic, self.scan),
                    models,
                    self._earlier_result,
                    self._store_result,
                    report_progress,
                    self.options.parallel,
                )
                return await runner.run(cases)

    def _earlier_result(self, case: Case) -> CaseResult | None:
        if self.state is None:
            return None
        record = self.options.record
        recorded = record is None or cassette_path(record, case.name).is_file()
        return self.state.of(case) if recorded else None

    def _store_result(self, result: CaseResult) -> None:
        if self.state is not None:
            self.state.add(result)
