"""The command `hunkwise doctor`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from hunkwise import __version__
from hunkwise.actions import Runner, inert
from hunkwise.commands.backend import no_model_error, secrets_of
from hunkwise.commands.signals import stoppable
from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION, find_cli
from hunkwise.copilot.isolation import ROOT_VARIABLE, find_isolation
from hunkwise.copilot.isolation_probe import probe_isolation
from hunkwise.doctor import machine
from hunkwise.doctor.checks import (
    Check,
    CheckState,
    Mask,
    Section,
    as_json,
    as_text,
    error_check,
    unchecked,
    verdict,
    warning,
)
from hunkwise.doctor.copilot import (
    NOWHERE,
    CliStatus,
    CopilotQuestion,
    copilot_checks,
    program_checks,
    provider_checks,
    try_own,
    try_running,
)
from hunkwise.doctor.github import config_location, git_version, open_api, server_checks
from hunkwise.doctor.machine import attempt_checks, shared_user_checks
from hunkwise.doctor.settings import (
    ConfigCheck,
    ReviewSettings,
    SettingsChecks,
    check_config,
    is_job,
    read_settings,
    token_checks,
    tokens_in,
)
from hunkwise.domain.review import ExitCode
from hunkwise.errors import GitHubError, ModelError, RepositoryError
from hunkwise.github.client import GitHub
from hunkwise.settings.config import Config
from hunkwise.settings.github_context import RunnerEnvironment

_OFFLINE = "--offline"
_SETTINGS = "the settings are wrong"
_NO_MODEL = "no model is asked here"
_READING_SECONDS = 60.0
_DEMO = (
    "the demo answers: fixed rules, not a model.",
    "Set COPILOT_GITHUB_TOKEN, or COPILOT_PROVIDER_BASE_URL with --model, for a real one.",
)


def doctor(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Runs all checks and prints them. Raises Error where a signal stops it."""
    logging.getLogger("hunkwise").addHandler(logging.NullHandler())  # the checks have the same information
    secrets = secrets_of(environ)
    with stoppable("The checkup was stopped."), ExitStack() as stack:
        settings = read_settings(arguments, environ, stack)
        unmasked = list(_Checkup(settings, environ, offline=arguments.offline).sections())
    mask = Mask(secrets)
    job = is_job(environ)
    sections = [mask.section(section if job else section.in_shell()) for section in unmasked]
    if arguments.format == "json":
        sys.stdout.write(inert(json.dumps(as_json(sections, __version__), indent=1)) + "\n")
    elif job:
        _log(sections, secrets, actions=environ.get("GITHUB_ACTIONS") == "true")
    else:
        sys.stdout.write(as_text(sections, f"hunkwise {__version__}: checkup of this shell") + "\n")
    return verdict(sections)


def _log(sections: list[Section], secrets: Iterable[str], *, actions: bool) -> None:
    """Writes the checks to the log of the job, with an annotation for each that prevents a review."""
    bare = RunnerEnvironment(event_name="", event_path=Path(os.devnull), repository="", actions=actions)
    runner = Runner(bare, sys.stdout)
    for secret in secrets:
        runner.mask(secret)
    runner.log(as_text(sections, f"hunkwise {__version__}: checkup of this job"))
    for check in (check for section in sections for check in section.checks):
        if check.state in (CheckState.WRONG, CheckState.FAULT):
            runner.error(f"{check.said} {check.remedy}".rstrip(), title=f"hunkwise doctor: {check.name}")


@dataclass(frozen=True)
class _Checkup:
    """Runs the checks of one part after the other; each can use the results of those before it."""

    settings: SettingsChecks
    environ: Mapping[str, str]
    offline: bool

    def sections(self) -> Iterator[Section]:
        settings = self.settings.review
        yield Section("Settings", self.settings.checks)
        yield Section("Machine", tuple(self._machine(settings)))
        tokens = tokens_in(self.environ, job=is_job(self.environ))
        if settings is not None and not settings.job:
            tokens = replace(tokens, copilot_answers=settings.copilot)
        yield Section("Tokens", tuple(token_checks(tokens, self.environ)))
        yield Section("GitHub", tuple(self._github(settings)))
        base = self._base(settings)
        yield Section("Configuration", base.checks)
        cli, seen = self._cli(settings, base.config)
        yield Section("Copilot CLI", cli)
        yield Section("Model", tuple(self._model(settings, seen, base.config)))
        yield Section("Isolation", tuple(self._isolation(settings, seen)))

    def _machine(self, settings: ReviewSettings | None) -> Iterator[Check]:
        job = is_job(self.environ)
        yield machine.python_check()
        yield from machine.system_checks(sys.platform)
        yield machine.git_check(git_version, needed=not job)
        yield machine.temporary_check(self.environ)
        if settings is not None and settings.environment is not None:
            yield machine.reports_check(settings.environment.reports.inside)
        if job:
            yield machine.runner_file_check("GITHUB_OUTPUT", self.environ, "outputs are not passed on")
            yield machine.runner_file_check("GITHUB_STEP_SUMMARY", self.environ, "there is no job summary")
        if (space := machine.free_space()) is not None:
            yield machine.space_check(*space)

    def _github(self, settings: ReviewSettings | None) -> Iterator[Check]:
        if settings is None:
            yield unchecked("Server", _SETTINGS)
        elif self.offline or not settings.github_token:
            yield unchecked("Server", _OFFLINE if self.offline else "there is no token to ask with")
        else:
            with open_api(settings) as ask:
                yield from server_checks(
                    ask,
                    api_url=settings.api_url,
                    repository=settings.repository,
                    number=settings.number,
                    now=time.time,
                )

    def _base(self, settings: ReviewSettings | None) -> ConfigCheck:
        """Checks the configuration where a review would read it."""
        if settings is None:
            return ConfigCheck((unchecked("Configuration", _SETTINGS),))
        github = GitHub(
            settings.github_token,
            settings.api_url,
            settings.repository or "",
            deadline=lambda: _READING_SECONDS,
        )
        try:
            location = config_location(settings, None if self.offline else github)
            if location is None:
                why = "its commit is not in the checkout, and GitHub was not asked"
                return ConfigCheck((unchecked("Configuration", why),))
            return check_config(location, settings)
        except GitHubError:
            return ConfigCheck((unchecked("Configuration", "GitHub does not give the pull request"),))
        except RepositoryError as error:
            check = warning("Configuration", error.message, error.hint)
            return ConfigCheck((replace(check, shell_remedy=error.shell_hint),))
        finally:
            github.close()

    def _cli(
        self, settings: ReviewSettings | None, config: Config | None
    ) -> tuple[tuple[Check, ...], CliStatus | None]:
        if settings is not None and settings.asks_nothing:
            return (unchecked("Program", _NO_MODEL),), None
        if settings is not None and settings.addresses and self.offline:
            return (unchecked("Program", f"copilot-url is not asked with {_OFFLINE}"),), None
        try:
            seen = self._try_cli(settings, config)
        except ModelError as error:
            return (error_check("Program", error),), None
        return tuple(program_checks(seen, CLI_VERSION, SDK_VERSION)), seen

    def _try_cli(self, settings: ReviewSettings | None, config: Config | None) -> CliStatus:
        if settings is None or settings.backend is None or (self.offline and settings.copilot):
            return try_own(find_cli(self.environ), NOWHERE, self.environ, CopilotQuestion(copilot=False))
        question = CopilotQuestion(settings.copilot, config.model if config else settings.backend.model)
        if settings.addresses:
            return try_running(settings.addresses, question)
        return try_own(find_cli(self.environ), settings.backend.credential, self.environ, question)

    def _model(
        self, settings: ReviewSettings | None, seen: CliStatus | None, config: Config | None
    ) -> Iterator[Check]:
        if settings is None or settings.asks_nothing:
            yield unchecked("Model", _SETTINGS if settings is None else _NO_MODEL)
            return
        if settings.backend is None:
            yield error_check("Model", no_model_error())
            return
        model = config.model if config else settings.backend.model
        if settings.backend.demo:
            yield warning("Model", *_DEMO)
        elif self.offline:
            yield unchecked("Model", _OFFLINE)
        elif settings.backend.provider is not None:
            yield from provider_checks(settings.backend.provider, model, self.environ)
        elif seen is None:
            yield unchecked("Copilot", "no Copilot CLI runs")
        else:
            yield from copilot_checks(seen, model)

    def _isolation(self, settings: ReviewSettings | None, seen: CliStatus | None) -> Iterator[Check]:
        if settings is not None and settings.asks_nothing:
            yield unchecked("Set apart", _NO_MODEL)
            return
        if settings is not None and settings.addresses:
            addresses = ", ".join(map(str, settings.addresses))
            yield unchecked("Set apart", f"the CLI at {addresses} must be set apart by its operator")
            return
        try:
            apart = find_isolation(self.environ)
            if apart is None:
                yield from shared_user_checks(
                    in_image=bool(self.environ.get(ROOT_VARIABLE)),
                    listener=seen.listener if seen else None,
                    started=seen is not None,
                )
                return
            checkout = settings.checkout if settings is not None else None
            paths = [checkout.absolute()] if checkout is not None else []
            # If the sidecar's own root has a folder of that name, it is a different one.
            hidden = [path for path in paths if not (apart.root / path.relative_to(path.anchor)).exists()]
            yield from attempt_checks(probe_isolation(apart, hidden), apart.uid)
        except ModelError as error:
            yield error_check("Set apart", error)
