"""The commands `hunkwise review` and `hunkwise publish`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hunkwise.commands.backend import Backend, secrets_of, select_backend
from hunkwise.commands.change_options import RangeOptions, RequestedPullRequest, requested_pull_request
from hunkwise.commands.messages import print_message
from hunkwise.commands.signals import Signals
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.settings.events import NothingToDo, PublishTask, ReviewTask
from hunkwise.settings.github_context import ReportFolder, RunnerEnvironment
from hunkwise.settings.inputs import Inputs
from hunkwise.settings.parsing import parse_config_path

if TYPE_CHECKING:
    from hunkwise.commands.finding_stream import FindingStream
    from hunkwise.commands.local_range import LocalRange
    from hunkwise.commands.publish import PublishedRun
    from hunkwise.publish.conclusion import PublishedReview

_LOCAL = "local"


def review(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Reviews a range of commits or a pull request, and prints the review. Raises Error where that is not possible."""
    started = time.monotonic()
    refuse_unsafe(environ)
    if arguments.post and not arguments.pr:
        raise SettingsError(["--post needs --pr: only a review of a pull request can be posted."])
    options = RangeOptions.read(arguments)
    if arguments.pr and options != RangeOptions():
        raise SettingsError(
            ["--pr names a whole pull request: leave out the options that select local changes."]
        )
    folder = Path(arguments.repository)
    wanted = requested_pull_request(arguments.pr, folder, environ) if arguments.pr else None
    with ExitStack() as stack:
        backend = select_backend(arguments.model, environ, stack)
        sidecar = Sidecar(find_cli(environ), backend.credential, environ)
        stack.callback(sidecar.stop)
        signals = Signals()
        signals.install()
        sidecar.start()
        signals.raise_on_second()
        stream = _open_stream(environ, stack) if arguments.format == "jsonl" else None
        if wanted is not None:
            return _review_pull_request(arguments, wanted, backend, sidecar, signals, started, stream)
        return _review_range(arguments, options, backend, sidecar, signals, started, stream)


def _open_stream(environ: Mapping[str, str], stack: ExitStack) -> FindingStream:
    from hunkwise.commands.finding_stream import FindingStream
    from hunkwise.redaction import SecretScan

    return stack.enter_context(FindingStream.open(SecretScan(secrets_of(environ))))


def publish(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Publishes a report on the pull request that --pr names. Raises Error."""
    from hunkwise.commands.report_publication import ReportPublication

    wanted = requested_pull_request(arguments.pr, Path(), environ)
    inputs = Inputs(github_token=wanted.token, copilot_token="")
    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder:
        environment = _environment(wanted, Path(folder), None)
        task = PublishTask(wanted.repository, None, None, None, "", wanted.number)
        publication = ReportPublication(environment, inputs, time.monotonic(), print_message)
        outcome = publication.run(task, Path(arguments.report))
    return _report("text", outcome)


def _environment(wanted: RequestedPullRequest, folder: Path, checkout: Path | None) -> RunnerEnvironment:
    """Returns the environment that a runner would have for this pull request."""
    return RunnerEnvironment(
        event_name=_LOCAL,
        event_path=Path(),
        repository=wanted.repository,
        api_url=wanted.api_url,
        server_url=wanted.server_url,
        workspace=checkout,
        reports=ReportFolder(folder / "hunkwise", folder / "hunkwise"),
    )


def _review_range(
    arguments: argparse.Namespace,
    options: RangeOptions,
    backend: Backend,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
    stream: FindingStream | None,
) -> ExitCode:
    from hunkwise.commands.journal import Journal
    from hunkwise.commands.local_range import read_range
    from hunkwise.commands.progress import progress
    from hunkwise.commands.terminal import console
    from hunkwise.domain.model import Deadlines
    from hunkwise.flows.review import ReviewInput
    from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
    from hunkwise.publish.placement import in_report
    from hunkwise.redaction import SecretScan
    from hunkwise.repository.trees import WorkingTree

    overrides = {**backend.overrides(), **_overrides(arguments)}
    config_path = parse_config_path(arguments.config, "--config")
    local = read_range(
        Path(arguments.repository),
        options,
        config_path=config_path,
        demo=backend.demo,
        at_base=arguments.at_base,
        overridden=lambda config: config.with_overrides(overrides),
    )
    ready = local.ready
    if not arguments.quiet:
        _announce(local, config_path, backend)
    fetching: Future[ReviewInput] = Future()
    fetching.set_result(ready)
    from hunkwise.copilot.sdk_import import import_sdk

    import_sdk()
    from hunkwise.commands.run import ReviewRun, RunBackend

    scan = SecretScan([backend.provider.api_key] if backend.provider and backend.provider.api_key else [])
    if stream is not None:
        stream.start(ready.request)
    with (
        tempfile.TemporaryDirectory(prefix="hunkwise-") as folder,
        progress(console(stderr=True), quiet=arguments.quiet) as report_progress,
    ):
        run = ReviewRun(
            RunBackend(sidecar, backend.provider),
            fetching,
            Journal(Path(folder) / "journal.jsonl", scan.found_in, *([stream.add] if stream else [])),
            report_progress,
            signals,
            started,
            Deadlines(started, ready.request.config.deadline),
            scan,
        )
        result = asyncio.run(run.review()).in_shell()
    config = ready.request.config
    verdict = conclude(result, Gates(config.fail_on, None, config.min_coverage))
    view = PublishedReview(
        result,
        verdict,
        in_report(result.findings),
        repository=ready.request.snapshot.pull_request.repository,
        base_sha=ready.request.snapshot.pull_request.base_sha,
    )
    _print(arguments.format, view, stream, WorkingTree(Path(arguments.repository)).root)
    for reason in verdict.reasons:
        print_message(reason)
    return verdict.exit_code


def _announce(local: LocalRange, config_path: str, backend: Backend) -> None:
    """Says what is reviewed, with which model and configuration."""
    print_message(
        f"Reviewing {local.change}, with {backend.describe(local.ready.request.config.model_order)}."
    )
    defaults = "" if local.configured else "the defaults, since there is no "
    print_message(f"Configuration: {defaults}{config_path} in {local.rules}.")
    for remark in local.remarks:
        print_message(remark)


def _review_pull_request(
    arguments: argparse.Namespace,
    wanted: RequestedPullRequest,
    backend: Backend,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
    stream: FindingStream | None,
) -> ExitCode:
    from hunkwise.commands.progress import progress
    from hunkwise.commands.pull_request import PullRequestReview
    from hunkwise.commands.terminal import console
    from hunkwise.repository.trees import WorkingTree

    for read in (backend.overrides, lambda: _overrides(arguments)):
        read()  # a message names the option, and not the input
    inputs = Inputs(
        github_token=wanted.token,
        copilot_token=backend.credential.copilot_token or "",
        provider=backend.provider,
        config_path=parse_config_path(arguments.config, "--config"),
        texts={
            **({"model": backend.model} if backend.model else {}),
            **arguments.settings,
            **({} if arguments.post else {"dry-run": "true"}),
        },
    )
    checkout = Path(arguments.repository)
    with (
        tempfile.TemporaryDirectory(prefix="hunkwise-") as folder,
        progress(console(stderr=True), quiet=arguments.quiet) as report_progress,
    ):
        environment = _environment(wanted, Path(folder), checkout if checkout.is_dir() else None)
        task = ReviewTask(wanted.repository, wanted.number)
        tree = WorkingTree(checkout) if _uses_working_tree(arguments, wanted) else None
        models = [name.strip() for name in (backend.model or "").split(",") if name.strip()]
        file, base = f"{inputs.config_path} in the working tree", "that of the pull request's base"
        if not arguments.quiet:
            print_message(f"Reviewing {wanted.repository}#{wanted.number} with {backend.describe(models)}.")
            print_message(f"Configuration: {file if tree is not None else base}.")
        work = PullRequestReview(environment, inputs, started, signals, report_progress, stream, tree)
        finished = work.run(task, sidecar, demo=backend.demo)
    return _report(arguments.format, finished, stream)


def _overrides(arguments: argparse.Namespace) -> dict[str, object]:
    """Returns the options that are settings as fields of `Config`. Raises SettingsError, which names the option.

    Imports pydantic: call it after the sidecar's start.
    """
    from hunkwise.settings.config import parse_overrides

    return parse_overrides(arguments.settings, lambda name: f"--{name}")


def _uses_working_tree(arguments: argparse.Namespace, wanted: RequestedPullRequest) -> bool:
    """A review that is posted is the team's, and a folder that is no clone of the repository has other settings."""
    return wanted.in_clone and not arguments.at_base and not arguments.post


def _report(kind: str, finished: PublishedRun | NothingToDo, stream: FindingStream | None = None) -> ExitCode:
    if isinstance(finished, NothingToDo):
        print_message(finished.why)
        return ExitCode.REVIEWED
    finished = finished.in_shell()
    _print(kind, finished.view, stream)
    for message in dict.fromkeys((*finished.errors, *finished.warnings)):
        print_message(message)
    return finished.exit_code


def _print(kind: str, view: PublishedReview, stream: FindingStream | None, root: Path | None = None) -> None:
    from hunkwise.commands.output import print_review

    if stream is not None:
        stream.finish(view)
    else:
        print_review(kind, view, root)
