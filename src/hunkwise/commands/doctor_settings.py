"""What a review here would go by: the inputs of a step, or the options and variables of a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.checkup.check import Check, failed, ok, warning
from hunkwise.commands.action import settings
from hunkwise.commands.answering import Answering, answering
from hunkwise.commands.local import url_in, wanted_in
from hunkwise.copilot.environment import Credential, refuse_unsafe
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import SettingsError
from hunkwise.given_file import read_given
from hunkwise.settings.addresses import host_of, port_of
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import EVENTS, MAX_PAYLOAD_BYTES, PublishTask, ReviewTask, Task, read_event
from hunkwise.settings.inputs import DEFAULT_CONFIG_PATH, Inputs

_ONLY_HERE = "Nothing, if only the checkup runs on this event."
_FORK = (
    "The pull request comes from a fork: GitHub gives this run a token that only reads, and no secrets.",
    "Choose one of the three ways in docs/forks.md.",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a review would be made of, where the settings are right."""

    job: bool
    github_token: str = field(default="", repr=False)
    """Empty in a shell that has none."""
    api_url: str = "https://api.github.com"
    repository: str | None = None
    number: int | None = None
    base: str | None = None
    """The commit whose configuration holds, as far as the event knows it."""
    checkout: Path | None = None
    config_path: str = DEFAULT_CONFIG_PATH
    overrides: Mapping[str, object] = field(default_factory=dict)
    by: Answering | None = None
    """Who answers; None where a report is published, and nobody is asked."""
    addresses: tuple[Address, ...] = ()
    """Of CLIs that run already; empty: one is started."""
    environment: RunnerEnvironment | None = None
    """The runner's, in a job."""

    @property
    def copilot(self) -> bool:
        """Whether Copilot answers."""
        return self.by is not None and self.by.provider is None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings' own checks, and what they ask for; None where they are wrong."""

    checks: tuple[Check, ...]
    asked: Asked | None = None


def is_job(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of a workflow, or is made to look like one."""
    return environ.get("GITHUB_ACTIONS") == "true" or bool(environ.get("GITHUB_EVENT_NAME"))


def read_settings(arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack) -> Settings:
    """Reads them as a review does. A demo that answers is ended by `stack`."""
    checks: tuple[Check, ...] = ()
    try:
        refuse_unsafe(environ)
    except SettingsError as error:
        checks = failed("COPILOT_ALLOW_ALL", error)
    try:
        read = _job(environ) if is_job(environ) else _shell(arguments, environ, stack)
    except SettingsError as error:
        read = Settings(failed("Settings", error))
    return Settings((*read.checks, *checks), read.asked)


def _shell(arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack) -> Settings:
    by = answering(arguments.model, environ, stack)
    pull_request = wanted_in(arguments.pr, environ) if arguments.pr else None
    checkout = Path(arguments.repository)
    asked = Asked(
        job=False,
        github_token=environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or "",
        api_url=url_in(environ, "GITHUB_API_URL", "https://api.github.com"),
        repository=pull_request.repository if pull_request else None,
        number=pull_request.number if pull_request else None,
        checkout=checkout if checkout.is_dir() else None,
        config_path=arguments.config or DEFAULT_CONFIG_PATH,
        overrides={"model": by.model} if by.model else {},
        by=by,
    )
    return Settings((ok("Options", "are right, and the variables beside them too"),), asked)


def _job(environ: Mapping[str, str]) -> Settings:
    environment, inputs = settings(environ)
    checks = [ok("Inputs", "are right")]
    checks += [
        warning("Inputs", said, "Correct the `with` or the `env` of this step.") for said in inputs.warnings
    ]
    task, said = _event(environment, inputs)
    review = task if isinstance(task, ReviewTask) else None
    asked = Asked(
        job=True,
        github_token=inputs.github_token,
        api_url=environment.api_url,
        repository=environment.repository,
        number=task.number if isinstance(task, ReviewTask | PublishTask) else None,
        base=(review.base_sha if review else None) or environment.sha or None,
        checkout=environment.workspace,
        config_path=inputs.config_path,
        overrides=inputs.overrides,
        by=_answering(inputs),
        addresses=tuple(
            Address(host_of(url), port_of(url), inputs.copilot_connection_token)
            for url in inputs.copilot_urls
        ),
        environment=environment,
    )
    return Settings((*checks, *said), asked)


def _answering(inputs: Inputs) -> Answering | None:
    if inputs.publish_report is not None:
        return None
    if inputs.provider is not None:
        credential = Credential(provider_base_url=inputs.provider.base_url)
    else:
        credential = Credential(copilot_token=inputs.copilot_token)
    return Answering(credential, inputs.provider, inputs.model, demo=False)


def _event(environment: RunnerEnvironment, inputs: Inputs) -> tuple[Task | None, tuple[Check, ...]]:
    """What the event asks for. One that brings nothing to review is no fault of a checkup."""
    name, publishing = environment.event_name, inputs.publish_report is not None
    try:
        task = read_event(
            name,
            _payload(environment.event_path),
            repository=environment.repository,
            pull_request=inputs.pull_request,
            publishing=publishing,
        )
    except SettingsError as error:
        unnamed = name == "workflow_dispatch" and inputs.pull_request is None
        if not publishing and (name not in EVENTS or unnamed):
            return None, tuple(warning("Event", said, _ONLY_HERE) for said in error.faults)
        return None, failed("Event", error)
    return task, tuple(_told(name, task))


def _told(name: str, task: Task) -> Iterator[Check]:
    if isinstance(task, ReviewTask):
        yield ok("Event", f"{name}: pull request #{task.number} of {task.repository} is to be reviewed")
        if task.fork and name == "pull_request":
            yield warning("Fork", *_FORK)
    elif isinstance(task, PublishTask):
        which = f"pull request #{task.number}" if task.number else "the pull request that it names"
        yield ok("Event", f"{name}: a report on {which} is to be published, and no model is asked")
    else:
        yield ok("Event", f"{name}: nothing to review. {task.why}")


def _payload(path: Path) -> bytes:
    try:
        return read_given(path, MAX_PAYLOAD_BYTES)
    except OSError as error:
        raise SettingsError(
            [f"GITHUB_EVENT_PATH names {path}, which cannot be read ({error.strerror})."]
        ) from error
