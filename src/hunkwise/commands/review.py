"""The commands `hunkwise review` and `hunkwise publish`."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hunkwise.commands.backend import Backend, select_backend
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
from hunkwise.settings.parsing import parse_config_path, parse_url

if TYPE_CHECKING:
    from hunkwise.commands.publish import PublishedRun
    from hunkwise.publish.conclusion import PublishedReview

_PULL_REQUEST = re.compile(r"([\w-]{1,100}/[\w.-]{1,100})#([1-9]\d{0,8})")
_LOCAL = "local"


@dataclass(frozen=True)
class RequestedPullRequest:
    """A pull request of the option --pr, and the token to read it with."""

    repository: str
    number: int
    token: str
    api_url: str
    server_url: str


def review(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Reviews a range of commits or a pull request, and prints the review. Raises Error where that is not possible."""
    started = time.monotonic()
    refuse_unsafe(environ)
    if arguments.post and not arguments.pr:
        raise SettingsError(["--post needs --pr OWNER/REPO#N: a range of commits has no place to post to."])
    wanted = requested_pull_request(arguments.pr, environ) if arguments.pr else None
    with ExitStack() as stack:
        backend = select_backend(arguments.model, environ, stack)
        sidecar = Sidecar(find_cli(environ), backend.credential, environ)
        stack.callback(sidecar.stop)
        signals = Signals()
        signals.install()
        sidecar.start()
        signals.raise_on_second()
        if wanted is not None:
            return _review_pull_request(arguments, wanted, backend, sidecar, signals, started)
        return _review_range(arguments, backend, sidecar, signals, started)


def publish(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Publishes a report on the pull request that --pr names. Raises Error."""
    from hunkwise.commands.pull_request import ReportPublication

    wanted = requested_pull_request(arguments.pr, environ)
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
    backend: Backend,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    from hunkwise.commands.journal import Journal
    from hunkwise.commands.local_range import read_range
    from hunkwise.commands.terminal import console, progress
    from hunkwise.domain.model import Deadlines
    from hunkwise.flows.review import ReviewInput
    from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
    from hunkwise.publish.placement import in_report
    from hunkwise.redaction import SecretScan

    overrides = backend.overrides()
    ready = read_range(
        Path(arguments.repository),
        base=arguments.base,
        head=arguments.head,
        config_path=parse_config_path(arguments.config, "--config"),
        demo=backend.demo,
        overridden=lambda config: config.with_overrides(overrides),
    )
    fetching: Future[ReviewInput] = Future()
    fetching.set_result(ready)
    from hunkwise.copilot.sdk_import import import_sdk

    import_sdk()
    from hunkwise.commands.run import ReviewRun, RunBackend

    with (
        tempfile.TemporaryDirectory(prefix="hunkwise-") as folder,
        progress(console(stderr=True)) as report_progress,
    ):
        run = ReviewRun(
            RunBackend(sidecar, backend.provider),
            fetching,
            Journal(Path(folder) / "journal.jsonl"),
            report_progress,
            signals,
            started,
            Deadlines(started, ready.request.config.deadline),
            SecretScan([backend.provider.api_key] if backend.provider and backend.provider.api_key else []),
        )
        result = asyncio.run(run.review()).in_shell()
    config = ready.request.config
    verdict = conclude(result, Gates(config.fail_on, None, config.min_coverage))
    _print(
        arguments.format,
        PublishedReview(
            result,
            verdict,
            in_report(result.findings),
            repository=ready.request.snapshot.pull_request.repository,
        ),
    )
    for reason in verdict.reasons:
        print_message(reason)
    return verdict.exit_code


def _review_pull_request(
    arguments: argparse.Namespace,
    wanted: RequestedPullRequest,
    backend: Backend,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    from hunkwise.commands.pull_request import PullRequestReview

    backend.overrides()  # a message names the option, and not the input
    inputs = Inputs(
        github_token=wanted.token,
        copilot_token=backend.credential.copilot_token or "",
        provider=backend.provider,
        config_path=parse_config_path(arguments.config, "--config"),
        texts={
            **({"model": backend.model} if backend.model else {}),
            **({} if arguments.post else {"dry-run": "true"}),
        },
    )
    checkout = Path(arguments.repository)
    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder:
        environment = _environment(wanted, Path(folder), checkout if checkout.is_dir() else None)
        task = ReviewTask(wanted.repository, wanted.number, None, None, fork=False, action=_LOCAL)
        work = PullRequestReview(environment, inputs, started, signals, print_message)
        finished = work.run(task, sidecar, demo=backend.demo)
    return _report(arguments.format, finished)


def requested_pull_request(option: str, environ: Mapping[str, str]) -> RequestedPullRequest:
    """Parses the option `--pr`, and reads a token from the environment. Raises SettingsError."""
    match = _PULL_REQUEST.fullmatch(option)
    if match is None:
        raise SettingsError([f"--pr is {option!r}; it must read OWNER/REPO#N, octo/site#12 for example."])
    token = token_in(environ, "--pr needs a token that may read the pull request: set GITHUB_TOKEN.")
    return RequestedPullRequest(
        match[1],
        int(match[2]),
        token,
        url_in(environ, "GITHUB_API_URL", "https://api.github.com"),
        url_in(environ, "GITHUB_SERVER_URL", "https://github.com"),
    )


def token_in(environ: Mapping[str, str], missing: str) -> str:
    """Returns the token for GitHub in the environment. Raises SettingsError with the message `missing`."""
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise SettingsError([missing])
    return token


def url_in(environ: Mapping[str, str], name: str, usual: str) -> str:
    """Returns the URL in a variable, or `usual` if it is not set. Raises SettingsError."""
    try:
        return parse_url(environ.get(name) or usual).text
    except ValueError as fault:
        raise SettingsError([f"{name} {fault}."]) from fault


def _report(kind: str, finished: PublishedRun | NothingToDo) -> ExitCode:
    if isinstance(finished, NothingToDo):
        print_message(finished.why)
        return ExitCode.REVIEWED
    finished = finished.in_shell()
    _print(kind, finished.view)
    for message in dict.fromkeys((*finished.errors, *finished.warnings)):
        print_message(message)
    return finished.exit_code


def _print(kind: str, view: PublishedReview) -> None:
    from hunkwise import __version__
    from hunkwise.commands.terminal import console, show
    from hunkwise.publish.documents import job_summary
    from hunkwise.publish.report import as_json
    from hunkwise.publish.sarif import as_sarif

    match kind:
        case "json":
            print(_json(as_json(view)))
        case "sarif":
            where = {"repository": view.repository, "server_url": view.server_url}
            print(_json(as_sarif(view.review, **where, version=__version__)))
        case "markdown":
            print(job_summary(view).text)
        case _:
            show(view.review, console(), view.posted.review_url)


def _json(contents: object) -> str:
    """Returns indented JSON, with escapes if the terminal cannot show Unicode."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(contents, indent=1, ensure_ascii=not unicode)
