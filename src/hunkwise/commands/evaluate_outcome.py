"""How `hunkwise eval` ends: what it prints and writes, what it keeps, and its exit code."""

from __future__ import annotations

import json
import sys

from hunkwise.commands.evaluate_options import Options
from hunkwise.commands.journal import write_whole
from hunkwise.domain.outcome import ExitCode
from hunkwise.evaluation.comparison import Comparison, comparison_json
from hunkwise.evaluation.evaluation import Evaluation
from hunkwise.evaluation.report import as_json
from hunkwise.evaluation.resuming import State
from hunkwise.evaluation.tables import as_markdown, as_text
from hunkwise.publish.characters import plain
from hunkwise.publish.secrets import SecretScan, without_secrets


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


def close(state: State | None, evaluation: Evaluation) -> None:
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
