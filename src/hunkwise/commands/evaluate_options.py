"""What `hunkwise eval` is told on the command line, checked together before anything is read or spent."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.evaluation.case import Case
from hunkwise.evaluation.evaluation import Evaluation
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
