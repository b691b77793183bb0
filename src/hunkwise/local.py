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

from hunkwise.copilot.command import find
from hunkwise.copilot.environment import Credential, refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.demo.server import MODEL as DEMO
from hunkwise.demo.server import serving
from hunkwise.domain.outcome import ExitCode, Review
from hunkwise.errors import SettingsError
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import ReviewTask
from hunkwise.settings.inputs import DEFAULT_CONFIG_PATH, Inputs
from hunkwise.settings.provider import Provider, ProviderType, WireApi
from hunkwise.signals import Signals

_PULL_REQUEST = re.compile(r"([\w-]{1,100}/[\w.-]{1,100})#([1-9]\d{0,8})")
_LOCAL = "local"


@dataclass(frozen=True)
class Answering:
    """Who answers, as the environment and the options say."""

    credential: Credential
    provider: Provider | None
    model: str | None
    demo: bool


def review(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Reviews and prints. Raises Error where no review can be made."""
    started = time.monotonic()
    refuse_unsafe(environ)
    if arguments.post and not arguments.pr:
        raise SettingsError(["--post needs --pr OWNER/REPO#N: a range of commits has no place to post to."])
    with ExitStack() as stack:
        answering = _answering(arguments, environ, stack)
        sidecar = Sidecar(find(environ), answering.credential, environ)
        stack.callback(sidecar.stop)
        signals = Signals()
        signals.install()
        sidecar.start()
        if arguments.pr:
            return _pull_request(arguments, environ, answering, sidecar, signals, started)
        return _range(arguments, answering, sidecar, signals, started)


def _answering(arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack) -> Answering:
    """Copilot where its token is in the environment, else a provider's settings, else the demo."""
    token = environ.get("COPILOT_GITHUB_TOKEN")
    base_url = environ.get("COPILOT_PROVIDER_BASE_URL")
    model = arguments.model or environ.get("COPILOT_MODEL")
    if arguments.model != DEMO and token:
        return Answering(Credential(copilot_token=token), None, model, demo=False)
    if arguments.model != DEMO and base_url:
        if model is None:
            raise SettingsError(
                ["COPILOT_PROVIDER_BASE_URL needs a model: add --model, or set COPILOT_MODEL."]
            )
        provider = Provider(
            _provider_type(environ),
            base_url.rstrip("/"),
            environ.get("COPILOT_PROVIDER_API_KEY"),
            _wire_api(environ),
            environ.get("COPILOT_PROVIDER_AZURE_API_VERSION"),
        )
        return Answering(Credential(provider_base_url=provider.base_url), provider, model, demo=False)
    if model not in (None, DEMO):
        raise SettingsError(
            [
                f"The model {model!r} cannot be asked: set COPILOT_GITHUB_TOKEN for Copilot, or "
                "COPILOT_PROVIDER_BASE_URL for a provider of your own; or use --model demo."
            ]
        )
    address, key = stack.enter_context(serving())
    provider = Provider("openai", address, key)
    return Answering(Credential(provider_base_url=address), provider, DEMO, demo=True)


def _provider_type(environ: Mapping[str, str]) -> ProviderType:
    kinds: dict[str, ProviderType] = {"openai": "openai", "azure": "azure", "anthropic": "anthropic"}
    said = environ.get("COPILOT_PROVIDER_TYPE", "openai")
    if said not in kinds:
        raise SettingsError([f"COPILOT_PROVIDER_TYPE is {said!r}; it can be openai, azure or anthropic."])
    return kinds[said]


def _wire_api(environ: Mapping[str, str]) -> WireApi | None:
    kinds: dict[str, WireApi] = {"completions": "completions", "responses": "responses"}
    said = environ.get("COPILOT_PROVIDER_WIRE_API")
    if said is not None and said not in kinds:
        raise SettingsError([f"COPILOT_PROVIDER_WIRE_API is {said!r}; it can be completions or responses."])
    return kinds[said] if said else None


def _range(
    arguments: argparse.Namespace,
    answering: Answering,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    from hunkwise.copilot.quick_import import import_sdk

    import_sdk()
    from hunkwise.flows.review import Ready
    from hunkwise.local_range import read_range
    from hunkwise.publish.gates import Gates, conclude
    from hunkwise.publish.placement import Posted
    from hunkwise.run import Backend, Run
    from hunkwise.terminal import console, progress

    fetching: Future[Ready] = Future()
    ready = read_range(
        Path(arguments.repository),
        base=arguments.base,
        head=arguments.head,
        config_path=arguments.config or DEFAULT_CONFIG_PATH,
        model=answering.model,
        demo=answering.demo,
    )
    fetching.set_result(ready)
    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder, progress(console()) as told:
        from hunkwise.journal import Journal

        run = Run(
            Backend(sidecar, answering.provider),
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
        print(reason, file=sys.stderr)
    return verdict.exit_code


def _pull_request(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    answering: Answering,
    sidecar: Sidecar,
    signals: Signals,
    started: float,
) -> ExitCode:
    match = _PULL_REQUEST.fullmatch(arguments.pr)
    if match is None:
        raise SettingsError(
            [f"--pr is {arguments.pr!r}; it must read OWNER/REPO#N, octo/site#12 for example."]
        )
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise SettingsError(["--pr needs a token that may read the pull request: set GITHUB_TOKEN."])
    from hunkwise.pull_request_review import PullRequestReview

    inputs = Inputs(
        github_token=token,
        copilot_token=answering.credential.copilot_token or "",
        provider=answering.provider,
        model=answering.model,
        config_path=arguments.config or DEFAULT_CONFIG_PATH,
        overrides={} if arguments.post else {"dry_run": True},
    )
    checkout = Path(arguments.repository)
    with tempfile.TemporaryDirectory(prefix="hunkwise-") as folder:
        environment = RunnerEnvironment(
            event_name=_LOCAL,
            event_path=Path(),
            repository=match[1],
            api_url=environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
            server_url=environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/"),
            workspace=checkout if checkout.is_dir() else None,
            temp=Path(folder),
        )
        task = ReviewTask(match[1], int(match[2]), None, None, fork=False, action=_LOCAL)
        work = PullRequestReview(environment, inputs, started, signals, _say)
        finished = work.run(task, sidecar, demo=answering.demo)
    _print(
        arguments.format,
        finished.review,
        finished.posted,
        finished.verdict.exit_code,
        match[1],
        int(match[2]),
    )
    for said in (*finished.warnings, *finished.errors):
        print(said, file=sys.stderr)
    return finished.verdict.exit_code


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print(
    kind: str,
    found: Review,
    posted: object,
    exit_code: ExitCode,
    repository: str,
    number: int | None = None,
) -> None:
    from hunkwise.publish.markdown import job_summary
    from hunkwise.publish.placement import Posted
    from hunkwise.publish.report import as_json
    from hunkwise.terminal import console, show

    assert isinstance(posted, Posted)
    match kind:
        case "json":
            report = as_json(found, posted, repository=repository, pull_request=number, exit_code=exit_code)
            print(json.dumps(report, indent=1, ensure_ascii=False))
        case "markdown":
            page = job_summary(
                found,
                server_url="https://github.com",
                repository=repository,
                where=posted.where,
                review_url=posted.review_url,
            )
            print(page.text)
        case _:
            show(found, console())
