"""The command `hunkwise audit`: plans, runs and merges an audit of a clone, and shows the outcome of the last one."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from hunkwise.commands.audit_stages import (
    Audit,
    AuditOutcome,
    AuditSources,
)
from hunkwise.commands.audit_stores import (
    StateFile,
    StateIssue,
    StateStore,
    default_path,
    read_parts,
    read_plan_file,
)
from hunkwise.commands.backend import Backend, secrets_of, select_backend
from hunkwise.commands.change_options import token_in, url_in
from hunkwise.commands.journal import Journal, write_json
from hunkwise.commands.messages import print_message
from hunkwise.commands.output import print_quickfix
from hunkwise.commands.progress import progress
from hunkwise.commands.signals import Signals
from hunkwise.commands.terminal import console, show_audit
from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import refuse_unsafe
from hunkwise.copilot.sidecar import Sidecar
from hunkwise.domain.model import Deadlines
from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.github.client import GitHub
from hunkwise.github.issues import AuditIssues
from hunkwise.github.writer import Writer
from hunkwise.publish.audit_files import AuditPlan, plan_json
from hunkwise.publish.audit_issue import issue_body
from hunkwise.publish.audit_report import report_json
from hunkwise.publish.sarif import with_root
from hunkwise.redaction import SecretScan, without_secrets
from hunkwise.repository.git import Git
from hunkwise.repository.trees import WorkingTree
from hunkwise.settings.parsing import parse_config_path

_REPOSITORY = re.compile(r"[\w-]{1,100}/[\w.-]{1,100}")


def audit(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Runs `hunkwise audit` and its subcommands. Raises Error where no audit is possible."""
    refuse_unsafe(environ)
    with ExitStack() as stack:
        command = _AuditCommand(arguments, environ, stack)
        match arguments.part:
            case "plan":
                return command.plan()
            case "run":
                return command.run()
            case "merge":
                return command.merge()
            case "show":
                return command.show()
            case _:
                return command.all()


class _AuditCommand:
    """One call of the command."""

    def __init__(self, arguments: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack) -> None:
        self._arguments = arguments
        self._environ = environ
        self._stack = stack
        self._started = time.monotonic()
        self._deadlines = Deadlines(self._started, 60.0)
        self._scan = SecretScan(secrets_of(environ))
        self._git = stack.enter_context(closing(Git(Path(arguments.repository))))
        self._backend: Backend | None = None

    def all(self) -> ExitCode:
        """Plans, asks the model and merges, in this process."""
        post = self._post()
        self._backend = select_backend(self._arguments.model, self._environ, self._stack)
        audit, store = self._audit()
        only = self._only
        plan = audit.plan(only=only, read_again=self._arguments.read_again)
        parts = [audit.as_part(plan, self._ask(audit, plan, 1))] if plan.shards else []
        outcome = audit.merge(plan, parts, baseline=self._arguments.baseline, post=post, only=only)
        return self._finish(outcome, store)

    def plan(self) -> ExitCode:
        # Which model reads the shards decides on what was read before.
        self._backend = select_backend(self._arguments.model, self._environ, self._stack)
        audit, _ = self._audit()
        plan = audit.plan(
            shards=self._arguments.shards, only=self._only, read_again=self._arguments.read_again
        )
        self._write(self._arguments.out, plan_json(plan))
        print(plan.matrix)
        for note in plan.notes if not self._arguments.quiet else ():
            print_message(note)
        return ExitCode.REVIEWED

    def run(self) -> ExitCode:
        self._backend = select_backend(self._arguments.model, self._environ, self._stack)
        plan = read_plan_file(Path(self._arguments.plan))
        audit, _ = self._audit(plan)
        self._write(self._arguments.out, self._ask(audit, plan, self._arguments.shard))
        return ExitCode.REVIEWED

    def merge(self) -> ExitCode:
        post = self._post()
        plan = read_plan_file(Path(self._arguments.plan))
        audit, store = self._audit(plan)
        parts, faults = read_parts([Path(path) for path in self._arguments.parts], plan)
        outcome = audit.merge(
            plan, parts, faults=faults, baseline=self._arguments.baseline, post=post, only=self._only
        )
        return self._finish(outcome, store)

    def show(self) -> ExitCode:
        """Prints the state of the last audit; reads only."""
        audit, store = self._audit()
        return self._finish(audit.show(only=self._only), store)

    @property
    def _only(self) -> tuple[str, ...]:
        return tuple(self._arguments.paths or ())

    def _post(self) -> bool:
        """Returns whether the state is written: a local one always, an issue's with --post. Raises SettingsError."""
        if self._arguments.post and not self._arguments.issue:
            raise SettingsError(
                ["--post needs --issue OWNER/REPO: the repository on GitHub whose issue is written."]
            )
        return self._arguments.post or not self._arguments.issue

    def _audit(self, plan: AuditPlan | None = None) -> tuple[Audit, StateStore]:
        """Returns the audit of HEAD, or of the plan's commit, and where its state is kept."""
        arguments, git = self._arguments, self._git
        head = plan.head_sha if plan is not None else git.resolve("HEAD")
        issue = getattr(arguments, "issue", None)
        state = arguments.state
        if issue is not None and state is not None:
            raise SettingsError(["--issue and --state both name where the state is; leave one of them out."])
        if issue is not None and not _REPOSITORY.fullmatch(issue):
            raise SettingsError([f"--issue is {issue!r}; it must read OWNER/REPO, octo/site for example."])
        github = self._github(issue) if issue is not None else None
        local = plan.repository if plan is not None else plain(Path(arguments.repository).resolve().name)
        repository = issue or local
        backend = self._backend
        sources = AuditSources(
            git=git,
            repository=repository,
            head_sha=head,
            config_path=parse_config_path(arguments.config, "--config"),
            overrides=backend.overrides() if backend is not None else {},
            now=time.time(),
            scan=self._scan,
            demo=backend.demo if backend is not None else False,
            github=github,
            server_url=url_in(self._environ, "GITHUB_SERVER_URL", "https://github.com") if issue else "",
        )
        store: StateStore
        if github is not None:
            store = StateIssue(AuditIssues(Writer(github, 0, self._scan)), repository)
        else:
            path = Path(state) if state else default_path(Path(arguments.repository), self._environ)
            store = StateFile(path, repository)
        audit = Audit(sources, store)
        if isinstance(store, StateIssue):
            self._deadlines.minutes = max(60.0, audit.config.deadline)
        return audit, store

    def _github(self, repository: str) -> GitHub:
        token = token_in(
            self._environ, "--issue needs a token that may read and write issues: set GITHUB_TOKEN."
        )
        api_url = url_in(self._environ, "GITHUB_API_URL", "https://api.github.com")
        github = GitHub(
            token,
            api_url,
            repository,
            deadline=self._deadlines.seconds_left,
            last=self._deadlines.last_seconds,
        )
        return self._stack.enter_context(closing(github))

    def _ask(self, audit: Audit, plan: AuditPlan, shard: int) -> Any:
        """Asks the model about a shard, with a progress bar; returns the report of the part."""
        backend = self._backend
        assert backend is not None, "the callers set it"
        sidecar = Sidecar(find_cli(self._environ), backend.credential, self._environ)
        self._stack.callback(sidecar.stop)
        signals = Signals()
        signals.install()
        sidecar.start()
        signals.raise_on_second()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hunkwise-"))
        with progress(console(stderr=True), "Reading", quiet=self._arguments.quiet) as report_progress:
            return audit.run(
                plan,
                shard,
                sidecar,
                backend.provider,
                signals=signals,
                started=self._started,
                journal=Journal(Path(folder) / "journal.jsonl", self._scan.found_in),
                progress=report_progress,
            )

    def _finish(self, outcome: AuditOutcome, store: StateStore) -> ExitCode:
        """Prints the report in the chosen format, and what went wrong on standard error."""
        report = outcome.report
        match self._arguments.format:
            case "json":
                values = report_json(report, outcome.merged.usage, outcome.merged.faults)
                print(json.dumps(without_secrets(values, self._scan), indent=1))
            case "sarif":
                root = WorkingTree(Path(self._arguments.repository)).root
                print(json.dumps(with_root(outcome.sarif, root), indent=1))
            case "markdown":
                print(self._scan.redacted(issue_body(report)))
            case "quickfix":
                print_quickfix((finding for finding, _ in report.open), outcome.merged.files)
            case _:
                show_audit(report, outcome.merged.files, console())
        if store.url and not self._arguments.quiet:
            print_message(f"The issue: {store.url}")
        for message in outcome.failed:
            print_message(message)
        if outcome.error is not None:
            raise outcome.error
        return outcome.exit_code

    def _write(self, path: str, contents: Mapping[str, Any]) -> None:
        if not write_json(Path(path), contents, ascii_only=True):
            raise SettingsError([f"--out {path}: the file cannot be written; name another one."])
