"""`hunkwise doctor`."""

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
from hunkwise.commands.signals import listen
from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION, find_cli
from hunkwise.copilot.isolation import ROOT_VARIABLE, isolation
from hunkwise.copilot.isolation_probe import probe_isolation
from hunkwise.doctor import machine
from hunkwise.doctor.checks import (
    Check,
    CheckState,
    Mask,
    Section,
    as_json,
    as_text,
    fault,
    secrets_of,
    unchecked,
    verdict,
    warning,
)
from hunkwise.doctor.copilot import CliStatus, copilot_checks, program_checks, provider_checks
from hunkwise.doctor.github import asking, base_commit, git_version, server_checks
from hunkwise.doctor.machine import attempt_checks, elsewhere_check, shared_user_checks
from hunkwise.doctor.settings import (
    ConfigCheck,
    ReviewSettings,
    SettingsChecks,
    is_job,
    read_base,
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
_PUBLISHING = "a report is published here, and no model is asked"
_READING_SECONDS = 60.0
_DEMO = (
    "the demo answers: fixed rules, not a model.",
    "Set COPILOT_GITHUB_TOKEN, or COPILOT_PROVIDER_BASE_URL with --model, for a real one.",
)


def doctor(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Looks at everything and prints it. Raises Error where it is stopped."""
    logging.getLogger("hunkwise").addHandler(logging.NullHandler())  # what it would say is in the checks
    listen()
    secrets = secrets_of(environ)
    with ExitStack() as stack:
        settings = read_settings(arguments, environ, stack)
        found = list(_Checkup(settings, environ, offline=arguments.offline).sections())
    mask = Mask(secrets)
    sections = [mask.section(section) for section in found]
    if arguments.format == "json":
        sys.stdout.write(inert(json.dumps(as_json(sections, __version__), indent=1)) + "\n")
    elif is_job(environ):
        _log(sections, secrets, actions=environ.get("GITHUB_ACTIONS") == "true")
    else:
        sys.stdout.write(as_text(sections, f"hunkwise {__version__}: checkup of this shell") + "\n")
    return verdict(sections)


def _log(sections: list[Section], secrets: Iterable[str], *, actions: bool) -> None:
    """To the log of the job, with an annotation for each thing that stops a review."""
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
    """Looks at one part after the other; each may go by what those before it found."""

    settings: SettingsChecks
    environ: Mapping[str, str]
    offline: bool

    def sections(self) -> Iterator[Section]:
        asked = self.settings.asked
        yield Section("Settings", self.settings.checks)
        yield Section("Machine", tuple(self._machine(asked)))
        tokens = tokens_in(self.environ, job=is_job(self.environ))
        if asked is not None and not asked.job:
            tokens = replace(tokens, copilot_answers=asked.copilot)
        yield Section("Tokens", tuple(token_checks(tokens, self.environ)))
        yield Section("GitHub", tuple(self._github(asked)))
        base = self._base(asked)
        yield Section("Configuration", base.checks)
        cli, seen = self._cli(asked, base.config)
        yield Section("Copilot CLI", cli)
        yield Section("Model", tuple(self._model(asked, seen, base.config)))
        yield Section("Isolation", tuple(self._isolation(asked, seen)))

    def _machine(self, asked: ReviewSettings | None) -> Iterator[Check]:
        job = is_job(self.environ)
        yield machine.python_check()
        yield machine.git_check(git_version, needed=not job)
        yield machine.temporary_check(self.environ)
        if asked is not None and asked.environment is not None:
            yield machine.reports_check(asked.environment.reports.inside)
        if job:
            yield machine.runner_file_check("GITHUB_OUTPUT", self.environ, "outputs are not passed on")
            yield machine.runner_file_check("GITHUB_STEP_SUMMARY", self.environ, "there is no job summary")
        if (space := machine.free_space()) is not None:
            yield machine.space_check(*space)

    def _github(self, asked: ReviewSettings | None) -> Iterator[Check]:
        if asked is None or self.offline or not asked.github_token:
            why = (
                _SETTINGS if asked is None else _OFFLINE if self.offline else "there is no token to ask with"
            )
            yield unchecked("Server", why)
            return
        with asking(asked) as ask:
            yield from server_checks(
                ask, api_url=asked.api_url, repository=asked.repository, number=asked.number, now=time.time
            )

    def _base(self, asked: ReviewSettings | None) -> ConfigCheck:
        """The configuration of the commit that a review would go by."""
        if asked is None:
            return ConfigCheck((unchecked("Configuration", _SETTINGS),))
        github = GitHub(
            asked.github_token, asked.api_url, asked.repository or "", deadline=lambda: _READING_SECONDS
        )
        try:
            base = base_commit(asked, None if self.offline else github)
            if base is None:
                why = "its commit is not in the checkout, and GitHub was not asked"
                return ConfigCheck((unchecked("Configuration", why),))
            return read_base(base, asked.config_path, lambda config: config.with_overrides(asked.overrides))
        except GitHubError:
            return ConfigCheck((unchecked("Configuration", "GitHub does not give the pull request"),))
        except RepositoryError as error:
            remedy = error.hint or "Name the folder of a clone by --repository."
            return ConfigCheck((warning("Configuration", error.message, remedy),))
        finally:
            github.close()

    def _cli(
        self, asked: ReviewSettings | None, config: Config | None
    ) -> tuple[tuple[Check, ...], CliStatus | None]:
        if asked is not None and asked.by is None:
            return (unchecked("Program", _PUBLISHING),), None
        if asked is not None and asked.addresses and self.offline:
            return (unchecked("Program", f"copilot-url is not asked with {_OFFLINE}"),), None
        try:
            seen = self._seen(asked, config)
        except ModelError as error:
            return (fault("Program", error.message, error.hint),), None
        return tuple(program_checks(seen, CLI_VERSION, SDK_VERSION)), seen

    def _seen(self, asked: ReviewSettings | None, config: Config | None) -> CliStatus:
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.doctor.copilot import NOWHERE, CopilotQuestion, try_own, try_running

        silent = asked is None or asked.by is None or (self.offline and asked.copilot)
        if silent or asked is None or asked.by is None:
            return try_own(find_cli(self.environ), NOWHERE, self.environ, CopilotQuestion(copilot=False))
        question = CopilotQuestion(asked.copilot, config.model if config else asked.by.model)
        if asked.addresses:
            return try_running(asked.addresses, question)
        return try_own(find_cli(self.environ), asked.by.credential, self.environ, question)

    def _model(
        self, asked: ReviewSettings | None, seen: CliStatus | None, config: Config | None
    ) -> Iterator[Check]:
        if asked is None or asked.by is None:
            yield unchecked("Model", _SETTINGS if asked is None else _PUBLISHING)
            return
        model = config.model if config else asked.by.model
        if asked.by.demo:
            yield warning("Model", *_DEMO)
        elif self.offline:
            yield unchecked("Model", _OFFLINE)
        elif asked.by.provider is not None:
            yield from provider_checks(asked.by.provider, model, self.environ)
        elif seen is None:
            yield unchecked("Copilot", "no Copilot CLI runs")
        else:
            yield from copilot_checks(seen, model)

    def _isolation(self, asked: ReviewSettings | None, seen: CliStatus | None) -> Iterator[Check]:
        if asked is not None and asked.by is None:
            yield unchecked("Set apart", _PUBLISHING)
            return
        if asked is not None and asked.addresses:
            yield elsewhere_check([str(address) for address in asked.addresses])
            return
        try:
            apart = isolation(self.environ)
            if apart is None:
                yield from shared_user_checks(
                    in_image=bool(self.environ.get(ROOT_VARIABLE)),
                    listener=seen.listener if seen else None,
                    started=seen is not None,
                )
                return
            checkout = asked.checkout if asked is not None else None
            paths = [checkout.absolute()] if checkout is not None else []
            # A folder of that name in the sidecar's own tree would be another one.
            hidden = [path for path in paths if not (apart.root / path.relative_to(path.anchor)).exists()]
            yield from attempt_checks(probe_isolation(apart, hidden), apart.uid)
        except ModelError as error:
            yield fault("Set apart", error.message, error.hint)
