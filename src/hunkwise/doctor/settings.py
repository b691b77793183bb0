"""Checks of inputs, tokens and configuration."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.commands.action import addresses, credential, read_task, settings
from hunkwise.commands.backend import Backend, select_backend
from hunkwise.commands.change_options import requested_pull_request, url_in
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.copilot.sidecar import Address
from hunkwise.doctor.checks import Check, failed, ok, unchecked, warning, wrong
from hunkwise.domain.pull_request import CommitFiles
from hunkwise.errors import Error, ModelError, SettingsError
from hunkwise.flows.base_config import BaseConfig, read_base_texts
from hunkwise.flows.template_check import RunKind, check_templates
from hunkwise.settings.audit_inputs import AuditTask
from hunkwise.settings.config import Config
from hunkwise.settings.events import EVENTS, CommandTask, MergeQueueTask, PublishTask, ReviewTask, Task
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import KNOWN_INPUTS, Inputs, copilot_host, has_copilot
from hunkwise.settings.parsing import CLASSIC_PREFIX, DEFAULT_CONFIG_PATH, parse_config_path, set_inputs

TWO_JOBS = "examples/workflows/two-jobs.yml"
_KINDS = (
    ("github_pat_", "a fine-grained personal access token"),
    ("ghs_", "a token of an app's installation, such as a job's GITHUB_TOKEN"),
    (CLASSIC_PREFIX, "a classic personal access token"),
    ("gho_", "an OAuth token"),
    ("ghu_", "an app's token for a person"),
)
_NEED = (
    'Give the job "permissions: copilot-requests: write", or use a fine-grained token with the account permission'
    ' "Copilot Requests".'
)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """The tokens that are set; none of them has been tried."""

    job: bool
    github: str | None = field(default=None, repr=False)
    copilot: str | None = field(default=None, repr=False)
    """Copilot's own token; if it is None, a job uses github-token instead."""
    copilot_answers: bool = True
    """True if a CLI is started for Copilot: no provider, no running CLI, and a stage that asks a model."""
    posts: bool = True
    """True if the step writes to the pull request: it has no `dry-run: true`."""
    copilot_host: str | None = "github.com"
    """The server whose Copilot is asked with github-token; None if that server has no Copilot."""

    @property
    def withheld(self) -> bool:
        """True if github-token could be Copilot's token only on another server, so that it is sent nowhere."""
        return self.job and self.copilot_answers and self.copilot is None and self.copilot_host is None


def tokens_in(environ: Mapping[str, str], *, job: bool) -> TokenSettings:
    """Reads the tokens from the inputs of a step, or from the variables of a shell."""
    if not job:
        github = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
        copilot = environ.get("COPILOT_GITHUB_TOKEN")
        return TokenSettings(
            job,
            github or None,
            copilot or None,
            copilot_answers=bool(copilot),
            copilot_host=copilot_host(environ),
        )
    texts = set_inputs(environ, KNOWN_INPUTS)
    return TokenSettings(
        job,
        texts.get("github-token"),
        texts.get("copilot-token"),
        copilot_answers=texts.get("audit") not in ("plan", "merge")
        and not {"provider-base-url", "copilot-url", "publish"} & texts.keys(),
        posts=texts.get("dry-run") != "true",
        copilot_host=copilot_host(environ),
    )


def kind_of(token: str) -> str:
    """Returns the kind of a token, from its prefix only."""
    return next(
        (kind for prefix, kind in _KINDS if token.startswith(prefix)), "a token of a kind that is not known"
    )


def token_checks(tokens: TokenSettings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Checks both tokens, whether they are the same, and other tokens in the environment."""
    yield _github_check(tokens)
    yield _copilot_check(tokens)
    if tokens.copilot_answers and not tokens.withheld:
        yield from _copilot_server_checks(tokens, environ)
        yield from _shared_token_checks(tokens)
    yield from _unused_token_checks(tokens, environ)


def _github_check(tokens: TokenSettings) -> Check:
    if tokens.github is None and tokens.job:
        return wrong("github-token", "is not set.", "Leave it at its default, ${{ github.token }}.")
    if tokens.github is None:
        return unchecked("GITHUB_TOKEN", "it is not set, and only `--pr` needs it")
    name = "github-token" if tokens.job else "GITHUB_TOKEN"
    if tokens.github.startswith(CLASSIC_PREFIX):
        message = "is a classic personal access token, which reaches all that its account can reach."
        return warning(name, message, "Use the job's own ${{ github.token }}, or a fine-grained token.")
    return ok(name, kind_of(tokens.github))


def _copilot_check(tokens: TokenSettings) -> Check:
    name = "copilot-token" if tokens.job else "COPILOT_GITHUB_TOKEN"
    if not tokens.copilot_answers:
        why = "Copilot is not asked from here" if tokens.job else "it is not set, so Copilot is not asked"
        return unchecked(name, why)
    if tokens.withheld:
        message = "is not set, and the server in GITHUB_SERVER_URL has no Copilot: github-token is sent nowhere else."
        return wrong(
            name, message, "Set it to a token of github.com; or set provider-base-url or copilot-url."
        )
    token = tokens.copilot or tokens.github
    if token is None:
        return wrong(name, "is not set, and neither is github-token.", _NEED)
    if token.startswith(CLASSIC_PREFIX):
        return wrong(name, "is a classic personal access token (ghp_), which Copilot does not accept.", _NEED)
    return ok(
        name, kind_of(token) if tokens.copilot else f"is not set: github-token is used, {kind_of(token)}"
    )


def _copilot_server_checks(tokens: TokenSettings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Names the server whose Copilot is asked, unless it is github.com."""
    variable = "COPILOT_GH_HOST" if environ.get("COPILOT_GH_HOST") else "GH_HOST"
    if environ.get("COPILOT_GH_HOST") or has_copilot(environ.get("GH_HOST", "")):
        yield ok("Copilot server", f"{environ[variable]}, which {variable} names")
    elif tokens.copilot_host not in (None, "github.com"):
        yield ok(
            "Copilot server", f"{tokens.copilot_host}, as in GITHUB_SERVER_URL: the CLI gets it as GH_HOST"
        )


def _shared_token_checks(tokens: TokenSettings) -> Iterator[Check]:
    """Checks whether the CLI holds github-token, which a compromised CLI could use."""
    name = "One token for both"
    if (tokens.copilot or tokens.github) != tokens.github or tokens.github is None:
        yield ok(name, "no: the Copilot CLI does not get the token that reads and posts")
    elif not tokens.posts:
        yield ok(name, "yes, in a step that posts nothing: its job needs no permission to write")
    else:
        yield warning(
            name,
            "yes: the Copilot CLI holds a token that can write to the pull request.",
            f"Let one job review and another one publish, as {TWO_JOBS} does; or give Copilot a token of its own.",
        )


def _unused_token_checks(tokens: TokenSettings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Warns about tokens in the environment that are not used, although their names suggest it."""
    if not tokens.job:
        both = (environ.get("GITHUB_TOKEN"), environ.get("GH_TOKEN"))
        if all(both) and both[0] != both[1]:
            message = "is set, and is not GITHUB_TOKEN, which is the one that is used."
            yield warning("GH_TOKEN", message, "Remove one of the two.")
        return
    if environ.get("COPILOT_GITHUB_TOKEN"):
        message = "is set in this step, and is not used."
        yield warning("COPILOT_GITHUB_TOKEN", message, "Set the input copilot-token instead.")
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        if environ.get(name):
            message = "is set in this step: hunkwise does not use it, and the Copilot CLI does not get it."
            yield warning(name, message, f"Remove {name} from the `env` of this step.")


_SHOWN = 12
_BELOW = "the AGENTS.md of the folders above a changed file, if there are any"
"""The files depend on the change, which the checkup does not know."""


@dataclass(frozen=True, slots=True)
class ConfigLocation:
    """The files among which a review reads its configuration, with a description for messages."""

    commit: CommitFiles
    description: str


@dataclass(frozen=True, slots=True)
class ConfigCheck:
    """The checks of the configuration, and the configuration if it is right."""

    checks: tuple[Check, ...]
    config: Config | None = None


def check_config(location: ConfigLocation, settings: ReviewSettings) -> ConfigCheck:
    """Reads configuration, templates and instructions, and renders the templates as `hunkwise config check` does."""
    path, overrides = settings.config_path, settings.overrides
    try:
        texts = read_base_texts(
            location.commit,
            path,
            lambda config: (
                config.for_audit(overrides) if settings.audits else config.with_overrides(overrides)
            ),
            location.description,
        )
    except Error as error:
        return ConfigCheck(failed("Configuration", error))
    message = f"{path} is right" if texts.found else f"there is no {path}: the defaults apply"
    checks = [ok("Configuration", message)]
    checks += [warning("Configuration", message, "") for message in texts.warnings]
    checks += [ok("Prompts", ", ".join(prompt.name for prompt in texts.config.reviewing))]
    checks += [*_template_checks(texts, settings.kinds), _instructions_check(texts)]
    checks += [warning("Instructions", note, "Make the file readable, or remove it.") for note in texts.notes]
    return ConfigCheck(tuple(checks), texts.config)


def _template_checks(texts: BaseConfig, kinds: Container[RunKind]) -> Iterator[Check]:
    checked = check_templates(texts, kinds)
    yield from (wrong("Template", message) for message in checked.errors)
    yield from (warning("Template", message, "") for message in checked.unused)
    if texts.templates and not checked.errors:
        yield ok("Templates", f"{_shortened(list(texts.templates))}: rendered over built-in examples")


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _instructions_check(texts: BaseConfig) -> Check:
    if not texts.config.context.instructions:
        return ok("Instructions", "not shown to the model: context.instructions is false")
    paths = [instruction.path for instruction in texts.instructions]
    return ok("Instructions", f"{_shortened(paths)}, and {_BELOW}" if paths else _BELOW)


_ONLY_HERE = "Nothing, if only the checkup runs on this event."
_FORK = (
    "The pull request comes from a fork: GitHub gives this run a token that only reads, and no secrets.",
    "Choose one of the three ways in docs/forks.md.",
)


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """The settings of a review, if they are right."""

    job: bool
    github_token: str = field(default="", repr=False)
    """Empty in a shell without a token."""
    api_url: str = "https://api.github.com"
    repository: str | None = None
    number: int | None = None
    base: str | None = None
    """The commit whose configuration applies, if the event has it."""
    checkout: Path | None = None
    config_path: str = DEFAULT_CONFIG_PATH
    overrides: Mapping[str, object] = field(default_factory=dict)
    backend: Backend | None = None
    """The model backend; None in a shell where none is set up, and where no model is asked (`asks_nothing`)."""
    addresses: tuple[Address, ...] = ()
    """Addresses of running CLIs; if empty, a CLI is started."""
    environment: RunnerEnvironment | None = None
    """The runner's, in a job."""
    kinds: tuple[RunKind, ...] = (RunKind.PULL_REQUEST,)
    """The kinds of runs that these settings are for."""

    @property
    def audits(self) -> bool:
        """True if the run is an audit."""
        return self.kinds == (RunKind.AUDIT,)

    @property
    def asks_nothing(self) -> bool:
        """True in a job that asks no model; see `Inputs.asks_model`."""
        return self.job and self.backend is None

    @property
    def copilot(self) -> bool:
        """True if the backend is Copilot."""
        return self.backend is not None and self.backend.provider is None


@dataclass(frozen=True, slots=True)
class SettingsChecks:
    """The checks of the settings, and the settings of the review; None where they are wrong."""

    checks: tuple[Check, ...]
    review: ReviewSettings | None = None


def is_job(environ: Mapping[str, str]) -> bool:
    """Returns True in a step of a workflow, or where the environment simulates one."""
    return environ.get("GITHUB_ACTIONS") == "true" or bool(environ.get("GITHUB_EVENT_NAME"))


def read_settings(
    arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack
) -> SettingsChecks:
    """Reads and checks the settings as a review does. If the demo is used, `stack` ends it."""
    checks: tuple[Check, ...] = ()
    try:
        refuse_unsafe(environ)
    except SettingsError as error:
        checks = failed("Environment", error)
    try:
        read = _read_job(environ) if is_job(environ) else _read_shell(arguments, environ, stack)
    except SettingsError as error:
        read = SettingsChecks(failed("Settings", error))
    return SettingsChecks((*read.checks, *checks), read.review)


def _read_shell(
    arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack
) -> SettingsChecks:
    backend = None
    with suppress(ModelError):  # none is set up, which the check of the model reports
        backend = select_backend(arguments.model, environ, stack)
    checkout = Path(arguments.repository)
    pull_request = requested_pull_request(arguments.pr, checkout, environ) if arguments.pr else None
    review = ReviewSettings(
        job=False,
        github_token=environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or "",
        api_url=url_in(environ, "GITHUB_API_URL", "https://api.github.com"),
        repository=pull_request.repository if pull_request else None,
        number=pull_request.number if pull_request else None,
        checkout=checkout if checkout.is_dir() else None,
        config_path=parse_config_path(arguments.config, "--config"),
        overrides=backend.overrides() if backend is not None else {},
        backend=backend,
        kinds=(RunKind.PULL_REQUEST,) if pull_request else (RunKind.PULL_REQUEST, RunKind.RANGE),
    )
    return SettingsChecks((ok("Options", "are right, and so are the variables"),), review)


def _read_job(environ: Mapping[str, str]) -> SettingsChecks:
    environment, inputs = settings(environ)
    overrides = inputs.overrides()
    checks = [ok("Inputs", "are right")]
    checks += [
        warning("Inputs", message, "Correct the `with` or the `env` of this step.")
        for message in inputs.warnings
    ]
    task, event_checks = _read_event(environment, inputs)
    review_task = task if isinstance(task, ReviewTask) else None
    review = ReviewSettings(
        job=True,
        github_token=inputs.github_token,
        api_url=environment.api_url,
        repository=environment.repository,
        number=task.number if isinstance(task, ReviewTask | PublishTask) else None,
        base=(review_task.base_sha if review_task else None) or environment.sha or None,
        checkout=environment.workspace,
        config_path=inputs.config_path,
        overrides=overrides,
        backend=Backend(credential(inputs), inputs.provider, inputs.model, demo=False)
        if inputs.asks_model
        else None,
        addresses=tuple(addresses(inputs)),
        environment=environment,
        kinds=(RunKind.AUDIT if isinstance(task, AuditTask) else RunKind.PULL_REQUEST,),
    )
    return SettingsChecks((*checks, *event_checks), review)


def _read_event(environment: RunnerEnvironment, inputs: Inputs) -> tuple[Task | None, tuple[Check, ...]]:
    """Returns the event's task and its checks. An event with nothing to review is only a warning."""
    name, publishing = environment.event_name, inputs.publish_report is not None
    try:
        task = read_task(environment, inputs)
    except SettingsError as error:
        unnamed = name == "workflow_dispatch" and inputs.pull_request is None
        if not publishing and (name not in EVENTS or unnamed):
            return None, tuple(warning("Event", message, _ONLY_HERE) for message in error.faults)
        return None, failed("Event", error)
    return task, tuple(_task_checks(name, task))


def _task_checks(name: str, task: Task) -> Iterator[Check]:
    if isinstance(task, ReviewTask):
        yield ok("Event", f"{name}: pull request #{task.number} of {task.repository} is to be reviewed")
        if task.fork and name == "pull_request":
            yield warning("Fork", *_FORK)
    elif isinstance(task, PublishTask):
        which = f"pull request #{task.number}" if task.number else "the pull request that it names"
        yield ok("Event", f"{name}: a report on {which} is to be published, and no model is asked")
    elif isinstance(task, AuditTask):
        yield ok("Event", f"{name}: {task.repository} is to be audited (audit: {task.stage})")
    elif isinstance(task, CommandTask):
        yield ok("Event", f"{name}: the command in a comment on #{task.number} is to be carried out")
    elif isinstance(task, MergeQueueTask):
        yield ok("Event", f"{name}: the check run of #{task.number} is to be repeated, and no model is asked")
    else:
        yield ok("Event", f"{name}: nothing to do. {task.why}")
