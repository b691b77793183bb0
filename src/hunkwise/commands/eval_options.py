"""The options of `hunkwise eval`, and the runs that they make."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Final

from hunkwise.demo.server import MODEL as DEMO
from hunkwise.errors import SettingsError
from hunkwise.evaluation.dataset import Case
from hunkwise.evaluation.results import Evaluation
from hunkwise.settings.parsing import parse_config_path, quoted

MAX_PARALLEL: Final = 16
_MAX_FOLDER: Final = 100


@dataclass(frozen=True)
class EvalVariant:
    """What tells one run of an evaluation from the others."""

    model: str | None
    """The value of --model; None for the one of the environment or the configuration."""
    prompts: tuple[str, ...]
    """The names of --prompts; empty for the prompts of the configuration."""

    folder: str = ""
    """The name of the run's folder or state file, which no other run has; empty for a single run."""

    def name(self, model: str | None) -> str:
        """Returns the run's name in reports; `model` is the one that is asked."""
        prompts = ", ".join(self.prompts)
        return f"{model or 'default model'}{': ' if prompts else ''}{prompts}"


def make_variants(
    models: Sequence[str | None], prompts: Sequence[tuple[str, ...]]
) -> tuple[EvalVariant, ...]:
    """Returns each model with each list of prompts."""
    return tuple(
        EvalVariant(
            model,
            names,
            _folder_name([*([model or ""] if len(models) > 1 else []), *(names if len(prompts) > 1 else ())]),
        )
        for model, names in product(models, prompts)
    )


def _folder_name(words: Sequence[str]) -> str:
    """Returns the words as a name that is valid for a folder, and other for other words."""
    whole = "+".join(words)
    name = re.sub(r"^\.+|[^A-Za-z0-9._+-]", "-", whole)[:_MAX_FOLDER]
    return name if name == whole else f"{name}-{sha256(whole.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Options:
    """The options of one evaluation."""

    cases: Path
    repository: Path
    variants: tuple[EvalVariant, ...]
    """The runs: each model with each list of prompts."""
    config: str | None
    judge: str | None
    against: Path | None
    max_regression: float
    record: Path | None
    replay: Path | None
    output: Path | None
    html: Path | None
    format: str
    quiet: bool
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

    def earlier_run(self, earlier: Sequence[Evaluation], name: str, cases: Sequence[Case]) -> Evaluation:
        """Returns the run of --against to compare with: the only one, else the one of the same name.

        Raises SettingsError where there is none, or no case could be compared: such a gate could never fail.
        """
        found = earlier[0] if len(earlier) == 1 else next((run for run in earlier if run.name == name), None)
        if found is None:
            names = ", ".join(quoted(run.name) for run in earlier)
            raise SettingsError([f"--against {self.against}: it has no run {quoted(name)}; it has {names}."])
        current = {(case.name, case.digest) for case in cases}
        if not any((result.name, result.digest) in current for result in found.evaluated):
            message = (
                f"--against {self.against}: it has measured none of these cases as they are now; name a report of "
                "the same cases, or leave the option out."
            )
            raise SettingsError([message])
        return found


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
    output, page = _path(arguments.output), _path(arguments.html)
    faults += [*_file_faults("--output", output), *_file_faults("--html", page)]
    if output is not None and output == page:
        faults.append(f"--output and --html both name {output}; name two files.")
    models = tuple(arguments.model or (None,))
    prompts = tuple(map(_names, arguments.prompts or ("",)))
    faults += [*_repeated("--model", models), *_repeated("--prompts", map(", ".join, prompts))]
    if len(models) > 1 and DEMO in models:
        faults.append(f"--model {DEMO} has fixed rules, and is not compared with models: run it alone.")
    if arguments.prompts and () in prompts:
        faults.append("--prompts names no prompt; give names with commas between them.")
    if faults:
        raise SettingsError(faults)
    return Options(
        cases=Path(arguments.cases),
        repository=Path(arguments.repository),
        variants=make_variants(models, prompts),
        config=arguments.config,
        judge=arguments.judge,
        against=_path(arguments.against),
        max_regression=drop or 0.0,
        record=_path(arguments.record),
        replay=_path(arguments.replay),
        output=output,
        html=page,
        format=arguments.format,
        quiet=arguments.quiet,
        fresh=arguments.fresh,
        parallel=arguments.parallel,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _file_faults(option: str, path: Path | None) -> Iterator[str]:
    if path is not None and not path.absolute().parent.is_dir():
        yield f"{option} {path}: there is no such folder; make it first."
    if path is not None and path.is_dir():
        yield f"{option} {path}: it is a folder; name a file in it."


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def _repeated(option: str, values: Iterable[str | None]) -> list[str]:
    every = list(values)
    twice = dict.fromkeys(value for value in every if every.count(value) > 1)
    return [f"{option} {value} is given twice; leave one out." for value in twice]
