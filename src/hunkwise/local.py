"""`hunkwise review`: a range of commits, or a pull request, for a person at a terminal."""

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

from hunkwise.answering import Answering, answering
from hunkwise.copilot.command import find
from hunkwise.copilot.environment import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.outcome import ExitCode, Posted, Review
from hunkwise.errors import SettingsError
from hunkwise.journal import Journal
from hunkwise.publish.characters import plain
from hunkwise.settings.addresses import parse_url
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import ReviewTask
from hunkwise.settings.inputs import DEFAULT_CONFIG_PATH, Inputs
from hunkwise.signals import Signals

_PULL_REQUEST = re.compile(r"([\w-]{1,100}/[\w.-]{1,100})#([1-9]\d{0,8})")
_LOCAL = "local"


@dataclass(frozen=True)
class _Wanted:
    """A pull request, and the token to read it with."""

    repository: str
    number: int
    token: str
    api_url: str
    server_url: str


def review(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Reviews and prints. Raises Error where no review can be made."""
    started = time.monotonic()
    refuse_unsafe(environ)
    if arguments.post and not arguments.pr:
        raise SettingsError(["--post needs --pr OWNER/REPO#N: a range of commits has no place to post to."])
    wanted = _wanted(arguments.pr, environ) if arguments.pr else None
    with ExitStack() as stack:
        by = answering(arguments.model, environ, stack)
        sidecar = Sidecar(find(environ), by.credential, environ)
        stack.callback(sidecar.stop)
        signals = Signals()
        signals.install()
        sidecar.start()
        if wanted is not None:
            return _pull_request(arguments, wanted, by, sidecar, signals, started)
        return _range(arguments, by, sidecar, signals, started)


def _range(
    arguments: argparse.Namespace,
    by: Answering,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    from hunkwise.flows.review import Ready
    from hunkwise.local_range import read_range
    from hunkwise.publish.gates import Gates, conclude
    from hunkwise.terminal import console, progress

    ready = read_range(
        Path(arguments.repository),
        base=arguments.base,
        head=arguments.head,
        config_path=arguments.config or DEFAULT_CONFIG_PATH,
        model=by.model,
        demo=by.demo,
    )
    fetching: Future[Ready] = Future()
    fetching.set_result(ready)
    from hunkwise.copilot.quick_import import import_sdk

    import_sdk()
    from hunkwise.run import Backend, Run

    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder, progress(console(stderr=True)) as told:
        run = Run(
            Backend(sidecar, by.provider),
            fetching,
            Journal(Path(folder) / "journal.jsonl"),
            told,
            signals,
            started,
        )
        found = asyncio.run(run.review())
    config = ready.order.config
    verdict = conclude(found, Gates(config.fail_on, None, config.min_coverage))
    _print(arguments.format, found, Posted(), verdict.exit_code, ready.order.snapshot.pull_request.repository)
    for reason in verdict.reasons:
        _say(reason)
    return verdict.exit_code


def _pull_request(
    arguments: argparse.Namespace,
    wanted: _Wanted,
    by: Answering,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    from hunkwise.pull_request_review import PullRequestReview

    inputs = Inputs(
        github_token=wanted.token,
        copilot_token=by.credential.copilot_token or "",
        provider=by.provider,
        model=by.model,
        config_path=arguments.config or DEFAULT_CONFIG_PATH,
        overrides={
            **({"model": by.model} if by.model else {}),
            **({} if arguments.post else {"dry_run": True}),
        },
    )
    checkout = Path(arguments.repository)
    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder:
        environment = RunnerEnvironment(
            event_name=_LOCAL,
            event_path=Path(),
            repository=wanted.repository,
            api_url=wanted.api_url,
            server_url=wanted.server_url,
            workspace=checkout if checkout.is_dir() else None,
            temp=Path(folder),
        )
        task = ReviewTask(wanted.repository, wanted.number, None, None, fork=False, action=_LOCAL)
        work = PullRequestReview(environment, inputs, started, signals, _say)
        finished = work.run(task, sidecar, demo=by.demo)
    _print(
        arguments.format,
        finished.review,
        finished.posted,
        finished.verdict.exit_code,
        wanted.repository,
        wanted.number,
        wanted.server_url,
    )
    fault = finished.posted.fault
    for said in (*finished.verdict.reasons, *([f"{fault.message} {fault.hint}"] if fault else [])):
        _say(said)
    return finished.verdict.exit_code


def _wanted(said: str, environ: Mapping[str, str]) -> _Wanted:
    match = _PULL_REQUEST.fullmatch(said)
    if match is None:
        raise SettingsError([f"--pr is {said!r}; it must read OWNER/REPO#N, octo/site#12 for example."])
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise SettingsError(["--pr needs a token that may read the pull request: set GITHUB_TOKEN."])
    return _Wanted(
        match[1],
        int(match[2]),
        token,
        _url(environ, "GITHUB_API_URL", "https://api.github.com"),
        _url(environ, "GITHUB_SERVER_URL", "https://github.com"),
    )


def _url(environ: Mapping[str, str], name: str, usual: str) -> str:
    try:
        return parse_url(environ.get(name) or usual).text
    except ValueError as fault:
        raise SettingsError([f"{name} {fault}."]) from fault


def _say(text: str) -> None:
    print(plain(text), file=sys.stderr)


def _print(
    kind: str,
    found: Review,
    posted: Posted,
    exit_code: ExitCode,
    repository: str,
    number: int | None = None,
    server_url: str = "",
) -> None:
    from hunkwise.publish.markdown import job_summary
    from hunkwise.publish.report import as_json
    from hunkwise.terminal import console, show

    match kind:
        case "json":
            report = as_json(found, posted, repository=repository, pull_request=number, exit_code=exit_code)
            unicode = (sys.stdout.encoding or "").lower().startswith("utf")
            print(json.dumps(report, indent=1, ensure_ascii=not unicode))
        case "markdown":
            page = job_summary(
                found,
                server_url=server_url,
                repository=repository,
                where=posted.where,
                review_url=posted.review_url,
            )
            print(page.text)
        case _:
            show(found, console(), posted.review_url)
