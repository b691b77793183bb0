"""The command `hunkwise eval`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from hunkwise.commands.backend import secrets_of, select_backend
from hunkwise.commands.eval_options import Options, read_options
from hunkwise.commands.eval_run import EvalRun, RunMeasurement, RunPreparation
from hunkwise.commands.journal import write_json
from hunkwise.commands.messages import print_message
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.domain.review import ExitCode
from hunkwise.evaluation.cassette import write_header
from hunkwise.evaluation.comparison import Comparison, compare, comparison_json
from hunkwise.evaluation.dataset import read_cases
from hunkwise.evaluation.report import as_json, read_report, runs_json
from hunkwise.evaluation.results import Evaluation
from hunkwise.evaluation.run_report import render_page, run_rows, runs_text
from hunkwise.evaluation.table import MARKDOWN, TEXT, as_markdown, as_text
from hunkwise.files import write_whole
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.repository.trees import ScratchRepository

logger = logging.getLogger(__name__)

MeasuredRun = tuple[Evaluation, Comparison | None]
"""A run, and its comparison with an earlier one."""
_DEMO: Final = "The demo model answers by fixed rules: prompts do not change its results."
_WORST_FIRST: Final = (ExitCode.NO_REVIEW, ExitCode.GATE, ExitCode.PARTIAL, ExitCode.REVIEWED)


def evaluate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Measures the cases and prints the report. Raises Error where no case can be evaluated."""
    refuse_unsafe(environ)
    options = read_options(arguments)
    scan = SecretScan(secrets_of(environ))
    with ExitStack() as stack:
        backend = None
        if options.replay is None:
            backend = select_backend(options.variants[0].model, environ, stack)
        if backend is not None and backend.demo and not options.quiet:
            print_message(_DEMO)
        preparation = RunPreparation(options, backend, scan, environ)
        cases = read_cases(options.cases)
        store = stack.enter_context(closing(ScratchRepository()))
        runs = preparation.runs(cases, store)
        earlier = read_report(options.against) if options.against else None
        bases = [options.earlier_run(earlier, run.name, cases) if earlier else None for run in runs]
        for run in runs:
            if run.record is not None:
                write_header(run.record, run.header)
        evaluations = RunMeasurement(options.parallel, options.quiet, backend, scan, environ).measure(
            runs, stack
        )
    measured = [
        (evaluation, compare(base, evaluation, options.max_regression) if base else None)
        for evaluation, base in zip(evaluations, bases, strict=True)
    ]
    written = report(options, measured, scan)
    close(runs, evaluations)
    return exit_code(measured, written=written)


def report(options: Options, runs: Sequence[MeasuredRun], scan: SecretScan) -> bool:
    """Prints the report, and writes it to --output and --html. Returns False where a file could not be written."""
    reports = [_report_json(evaluation, comparison, scan) for evaluation, comparison in runs]
    contents = reports[0] if len(reports) == 1 else runs_json(reports)
    match options.format:
        case "json":
            text = json.dumps(contents, indent=1)
        case "markdown":
            text = scan.redacted(as_markdown(*runs[0]) if len(runs) == 1 else runs_text(runs, MARKDOWN))
        case _:
            text = scan.redacted(as_text(*runs[0]) if len(runs) == 1 else runs_text(runs, TEXT))
    sys.stdout.write(f"{text}\n")
    written = options.output is None or bool(write_json(options.output, contents))
    if options.html is None:
        return written
    rows = run_rows([evaluation for evaluation, _ in runs])
    return _write_page(options.html, render_page(reports, rows)) and written


def _report_json(evaluation: Evaluation, comparison: Comparison | None, scan: SecretScan) -> dict[str, Any]:
    compared = comparison_json(comparison) if comparison is not None else None
    contents: dict[str, Any] = without_secrets(as_json(evaluation, compared), scan)
    return contents


def _write_page(path: Path, text: str) -> bool:
    try:
        write_whole(path, text)
    except OSError as error:
        logger.warning("%s cannot be written (%s).", path, error.strerror)
        return False
    return True


def close(runs: Sequence[EvalRun], evaluations: Sequence[Evaluation]) -> None:
    """Removes the state files once all cases of all runs are measured; else prints how to resume."""
    failed = any(evaluation.failed for evaluation in evaluations)
    for run, evaluation in zip(runs, evaluations, strict=True):
        if run.state is None:
            continue
        if not failed:
            run.state.forget()
        elif evaluation.evaluated:
            done = len(evaluation.evaluated)
            subject = "1 case is" if done == 1 else f"{done} cases are"
            print_message(f"{subject} kept in {run.state.path}: the same command asks the others alone.")


def exit_code(runs: Sequence[MeasuredRun], *, written: bool) -> ExitCode:
    """Prints the failed cases, and returns the worst exit code of the runs: 3, then 1, then 4, then 0."""
    for evaluation, _ in runs:
        prefix = f"{evaluation.name}: " if len(runs) > 1 else ""
        for result in evaluation.failed:
            assert result.failure is not None, "it is among those that failed"
            print_message(f'{prefix}The case "{result.name}" failed: {result.failure.message}')
    codes = {_exit_code(*run) for run in runs} | ({ExitCode.PARTIAL} if not written else set())
    return next(code for code in _WORST_FIRST if code in codes)


def _exit_code(evaluation: Evaluation, comparison: Comparison | None) -> ExitCode:
    if not evaluation.evaluated:
        return ExitCode.NO_REVIEW
    if comparison is not None and comparison.regressed:
        return ExitCode.GATE
    return ExitCode.PARTIAL if evaluation.failed else ExitCode.REVIEWED
