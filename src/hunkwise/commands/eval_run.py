"""Prepares the runs of `hunkwise eval`, and measures them one after the other over one Copilot CLI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.commands.backend import Backend
from hunkwise.commands.eval_options import EvalVariant, Options
from hunkwise.commands.messages import print_message
from hunkwise.commands.signals import Signals, quiet_loop
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.errors import SettingsError
from hunkwise.evaluation.cassette import CassetteHeader, ReplayModels, cassette_path, read_header
from hunkwise.evaluation.dataset import Case
from hunkwise.evaluation.preparation import CommitStore, EvalSettings, ReadyCase, make_ready
from hunkwise.evaluation.results import CaseResult, Evaluation
from hunkwise.evaluation.run import CaseRunner, Checkpoint, EvalRunner, ModelFactory, settings_key, state_path
from hunkwise.flows.base_config import read_base_texts
from hunkwise.redaction import SecretScan
from hunkwise.repository.trees import WorkingTree
from hunkwise.settings.config import Config, parse_overrides


@dataclass(frozen=True)
class EvalRun:
    """One run over all cases, with a model and prompts."""

    name: str
    header: CassetteHeader
    """The models, as a recording stores them."""
    rules: EvalSettings
    settings: str
    """A digest of everything besides the cases that results depend on."""
    cases: tuple[ReadyCase, ...]
    record: Path | None
    replay: Path | None
    state: Checkpoint | None
    """The results of an earlier, interrupted run; None for a replay, which costs nothing."""

    def earlier_result(self, case: Case) -> CaseResult | None:
        """Returns the result of an interrupted run for an unchanged case that is also recorded where it should be."""
        if self.state is None:
            return None
        recorded = self.record is None or cassette_path(self.record, case.name).is_file()
        return self.state.of(case) if recorded else None

    def store_result(self, result: CaseResult) -> None:
        if self.state is not None:
            self.state.add(result)

    def evaluation(self, results: tuple[CaseResult, ...], seconds: float) -> Evaluation:
        models = [name for name in self.rules.config.model_order if name is not None]
        model, header = ", ".join(models) or None, self.header
        whole = Evaluation(results, model, header.judge, header.demo, self.settings, seconds, self.name)
        return whole.at(self.rules.min_confidence)


@dataclass(frozen=True)
class RunPreparation:
    """Reads prompts and settings, and makes the runs."""

    options: Options
    backend: Backend | None
    """None for a replay."""
    scan: SecretScan
    environ: Mapping[str, str]

    def runs(self, cases: Sequence[Case], store: CommitStore) -> tuple[EvalRun, ...]:
        """Returns a run for each variant. Raises SettingsError with faults of settings, cases or recordings."""
        headers = {variant: self._header(variant) for variant in self.options.variants}
        rules = self._rules(headers)
        runs = [
            self._run(variant, headers[variant], rules[variant], make_ready(cases, rules[variant], store))
            for variant in self.options.variants
        ]
        empty = [ready.case.name for run in runs for ready in run.cases if not ready.asks]
        for name in dict.fromkeys(empty):
            print_message(f'Of the case "{name}" nothing is put before a model: all of it is left out.')
        return tuple(runs)

    def _header(self, variant: EvalVariant) -> CassetteHeader:
        judge = self.options.judge
        if self.backend is not None:
            model = variant.model or self.backend.model
            return CassetteHeader(model=model, judge=judge, demo=self.backend.demo)
        assert self.options.replay is not None, "a run without a backend is a replay"
        header = read_header(self.options.replay / variant.folder)
        return header.model_copy(
            update={"model": variant.model or header.model, "judge": judge or header.judge}
        )

    def _rules(self, headers: Mapping[EvalVariant, CassetteHeader]) -> dict[EvalVariant, EvalSettings]:
        """Reads configuration, templates and instructions from the working tree, where prompts are edited."""
        options, tree = self.options, WorkingTree(self.options.repository)
        options.check_config(tree.read(options.config_path) is not None)
        rules: dict[EvalVariant, EvalSettings] = {}
        notes: list[str] = []
        for variant, header in headers.items():
            base = read_base_texts(tree, options.config_path, _overrides(variant, header))
            notes += base.notes
            rules[variant] = EvalSettings(base.config, base.templates, base.instructions, header.demo)
        for note in dict.fromkeys(notes):
            print_message(note)
        return rules

    def _run(
        self,
        variant: EvalVariant,
        header: CassetteHeader,
        rules: EvalSettings,
        cases: tuple[ReadyCase, ...],
    ) -> EvalRun:
        options = self.options
        settings = settings_key(
            rules.config, rules.templates, rules.instructions, demo=header.demo, judge=header.judge
        )
        return EvalRun(
            variant.name(header.model),
            header,
            rules,
            settings,
            cases,
            options.record and options.record / variant.folder,
            options.replay and options.replay / variant.folder,
            self._state(variant, settings),
        )

    def _state(self, variant: EvalVariant, settings: str) -> Checkpoint | None:
        options = self.options
        if options.replay is not None:
            return None
        path = state_path(options.output, options.cases, self.environ, variant.folder)
        state = Checkpoint(path, settings, self.scan)
        if options.fresh:
            state.forget()
        else:
            state.load()
        return state


_SUBJECTS: Final = {"model": "--model or COPILOT_MODEL", "prompts": "--prompts"}


def _overrides(variant: EvalVariant, header: CassetteHeader) -> Callable[[Config], Config]:
    """Returns a function that puts the run's model and prompts over the configuration. Raises SettingsError."""
    texts = {"model": header.model or "", "prompts": "\n".join(variant.prompts)}
    overrides = parse_overrides(
        {name: text for name, text in texts.items() if text}, lambda name: _SUBJECTS[name]
    )

    def override(config: Config) -> Config:
        try:
            return config.with_overrides(overrides)
        except SettingsError as error:
            faults = [fault.replace('Input "prompts"', "--prompts") for fault in error.faults]
            raise SettingsError(faults) from error

    return override


@dataclass(frozen=True)
class RunMeasurement:
    """Measures runs on an event loop."""

    parallel: int
    quiet: bool
    backend: Backend | None
    scan: SecretScan
    environ: Mapping[str, str]

    def measure(self, runs: Sequence[EvalRun], stack: ExitStack) -> tuple[Evaluation, ...]:
        """Returns the results of all runs. Raises ModelError where the backend does not answer."""
        signals = Signals()
        open_models = self._start(runs, signals, stack)
        return asyncio.run(self._measure(runs, open_models, signals))

    def _start(
        self, runs: Sequence[EvalRun], signals: Signals, stack: ExitStack
    ) -> Callable[[], AbstractAsyncContextManager[Sequence[ModelFactory]]]:
        """Starts the CLI, except for a replay; returns the function that connects to the models of each run."""
        signals.install()
        if self.backend is None:
            names = [ready.case.name for ready in runs[0].cases]
            replays = [ReplayModels(run.replay, names) for run in runs if run.replay is not None]
            return lambda: nullcontext[Sequence[ModelFactory]](replays)
        due = [(run, ready.case) for run in runs for ready in run.cases]
        resumed = sum(run.earlier_result(case) is not None for run, case in due)
        if resumed and not self.quiet:
            print_message(
                f"{resumed} of {len(due)} cases: measured already by a run that was ended (--fresh: again)."
            )
        sidecar = Sidecar(find_cli(self.environ), self.backend.credential, self.environ)
        stack.callback(sidecar.stop)
        sidecar.start()
        signals.raise_on_second()
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import EvalBackend, connect_models

        provider = self.backend.provider
        settings = [
            EvalBackend(
                run.rules.config.model_order,
                run.header.judge,
                run.rules.config.deadline,
                run.record,
                self.scan,
            )
            for run in runs
        ]
        return lambda: connect_models(sidecar, provider, settings)

    async def _measure(
        self,
        runs: Sequence[EvalRun],
        open_models: Callable[[], AbstractAsyncContextManager[Sequence[ModelFactory]]],
        signals: Signals,
    ) -> tuple[Evaluation, ...]:
        from hunkwise.commands.run import enable_collection

        enable_collection()
        with quiet_loop(signals) as interrupted:
            async with open_models() as models:
                return tuple(
                    [
                        await self._evaluate(run, models_of_run, interrupted)
                        for run, models_of_run in zip(runs, models, strict=True)
                    ]
                )

    async def _evaluate(self, run: EvalRun, models: ModelFactory, interrupted: asyncio.Event) -> Evaluation:
        from hunkwise.commands.progress import progress
        from hunkwise.commands.terminal import console

        started = time.monotonic()
        with progress(console(stderr=True), "Measuring", "case", quiet=self.quiet) as report_progress:
            runner = EvalRunner(
                CaseRunner(run.header.judge, interrupted, time.monotonic, self.scan),
                models,
                run.earlier_result,
                run.store_result,
                report_progress,
                self.parallel,
            )
            results = await runner.run(run.cases)
        return run.evaluation(results, time.monotonic() - started)
