"""Runs the stages of an audit: reads the repository and the state, asks the model, and writes the outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

from hunkwise import __version__
from hunkwise.commands.audit_stores import StateStore
from hunkwise.commands.journal import Journal
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.model import Deadlines
from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.domain.review import Coverage, ExitCode, Review
from hunkwise.errors import Error, SettingsError
from hunkwise.flows.analysis import Progress
from hunkwise.flows.audit_merge import (
    AuditMerge,
    StoredAudit,
    dismissal_changes,
    merge_audit,
    report_of,
)
from hunkwise.flows.audit_planning import AuditRequest, plan_audit, select_lap
from hunkwise.flows.base_config import BaseConfig, read_base_texts
from hunkwise.flows.fetch import mark_scripts
from hunkwise.flows.instructions import ATTRIBUTES, decode_attributes, read_folder_texts
from hunkwise.flows.planning import EarlierFinding
from hunkwise.flows.prompting import settings_digest
from hunkwise.flows.review import ReviewInput, ReviewRequest
from hunkwise.github.client import GitHub
from hunkwise.plan.globs import matches
from hunkwise.prompts.renderer import Renderer
from hunkwise.publish.audit_files import (
    AuditPart,
    AuditPlan,
    part_json,
    read_part,
)
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.publish.placement import in_report
from hunkwise.publish.report import digest_of
from hunkwise.publish.sarif import as_sarif
from hunkwise.redaction import SecretScan, withhold, without_secrets
from hunkwise.repository.git import Git
from hunkwise.repository.history import find_renames, list_tree, read_activity
from hunkwise.repository.trees import GitTree
from hunkwise.settings.config import Config
from hunkwise.settings.inputs import Provider
from hunkwise.telemetry import span
from hunkwise.tracking.ledger import LedgerStatus, update_ledger

_MOST_ATTRIBUTES = 500


class CommitReader:
    """Reads commits from the clone; an older one that it lacks, as with `fetch-depth: 1`, over GitHub's API."""

    def __init__(self, git: Git, github: GitHub | None, now: float) -> None:
        """`now`: seconds since the epoch."""
        self._git = git
        self._github = github
        self._now = now
        self._files = cache(self._read_files)  # plan, merge and report need them

    def files(self, sha: str) -> tuple[TreeFile, ...] | None:
        """Returns the regular files of a commit; None if neither has it. Raises RepositoryError, GitHubError."""
        return self._files(sha)

    def _read_files(self, sha: str) -> tuple[TreeFile, ...] | None:
        if self._git.has(sha):
            return list_tree(self._git, sha)
        return self._github.tree_files(sha) if self._github is not None else None

    def attributes(self, sha: str, files: Sequence[TreeFile]) -> Mapping[str, str]:
        """Returns the texts of the .gitattributes among the files, at most 500, by their folders."""
        paths = [file.path for file in files if file.path.rpartition("/")[2] == ATTRIBUTES][:_MOST_ATTRIBUTES]
        contents = GitTree(self._git, sha).read_many(paths)
        return {
            path.rpartition("/")[0]: decode_attributes(content)
            for path, content in contents.items()
            if isinstance(content, bytes)
        }

    def activity(self, sha: str) -> Mapping[str, FileActivity] | None:
        """Returns how often files were changed in the year before this commit; None in a shallow clone."""
        return read_activity(self._git, sha, self._now)

    def renames(self, old: str, new: str) -> Mapping[str, str]:
        """Returns new paths by old ones; empty if the clone lacks one of the commits."""
        return find_renames(self._git, old, new) if self._git.has(old) else {}

    def diff(self, sha: str, paths: Sequence[str]) -> tuple[FileDiff, ...]:
        """Returns these files of a commit as added files."""
        if not paths:
            return ()
        return mark_scripts(self._git, sha, self._git.diff(self._git.empty_tree(sha), sha, paths))


@dataclass(frozen=True)
class AuditSources:
    """Where an audit reads from, and the settings from outside of the repository."""

    git: Git
    repository: str
    """`owner/name`, or the name of a local folder."""
    head_sha: str
    config_path: str
    overrides: Mapping[str, object]
    now: float
    """Seconds since the epoch."""
    scan: SecretScan
    demo: bool = False
    github: GitHub | None = None
    server_url: str = ""


class Audit:
    """One audit of one commit. Methods raise Error."""

    def __init__(self, sources: AuditSources, store: StateStore) -> None:
        self._sources = sources
        self._store = store
        self.commits = CommitReader(sources.git, sources.github, sources.now)

    @cached_property
    def _texts(self) -> BaseConfig:
        sources = self._sources
        tree = GitTree(sources.git, sources.head_sha)
        where = f"the audited commit ({sources.head_sha[:7]})"
        return read_base_texts(
            tree, sources.config_path, lambda config: config.for_audit(sources.overrides), where
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the configuration, which are among the notes of the plan too."""
        return self._texts.warnings

    @property
    def config(self) -> Config:
        """The configuration of the audited commit."""
        return self._texts.config

    @cached_property
    def _settings(self) -> str:
        """The digest of what decides on findings; neither paths, of which the state knows each, nor instructions."""
        config = self.config.model_copy(update={"ignore": (), "paths": ()})
        system = Renderer(self._texts.templates).system_for(config.reviewing[0].name, audit=True)
        return settings_digest(config, self._texts.templates, (), demo=self._sources.demo, system=system)

    @span("audit.plan")
    def plan(
        self, *, shards: int | None = None, only: Sequence[str] = (), read_again: bool = False
    ) -> AuditPlan:
        """Returns what this audit reads; asks no model and writes nothing."""
        return self._plan(self._store.read(), self._settings, shards, only, read_again=read_again)

    def _plan(
        self,
        stored: StoredAudit,
        settings: str,
        shards: int | None = None,
        only: Sequence[str] = (),
        *,
        read_again: bool = False,
    ) -> AuditPlan:
        sources = self._sources
        request = AuditRequest(
            repository=sources.repository,
            head_sha=sources.head_sha,
            config=self.config,
            settings=settings,
            today=datetime.fromtimestamp(sources.now, UTC).date(),
            state=stored.state,
            notes=(*self._texts.warnings, *self._texts.notes, *stored.notes),
            shards=shards,
            read_again=read_again or stored.controls.read_again,
            only=tuple(only),
        )
        return plan_audit(request, self.commits)

    def run(
        self,
        plan: AuditPlan,
        shard: int,
        where: Sidecar | Sequence[Address],
        provider: Provider | None,
        *,
        signals: Signals,
        started: float,
        journal: Journal,
        progress: Progress,
        in_shell: bool = False,
    ) -> Any:
        """Asks the model about one shard; returns the report as JSON values. Writes nothing to GitHub.

        `in_shell`: its faults are in the words of a shell.
        """
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import ReviewRun, RunBackend

        fetching: Future[ReviewInput] = Future()
        fetching.set_result(self._read_shard(plan, shard))
        run = ReviewRun(
            RunBackend(where, provider),
            fetching,
            journal,
            progress,
            signals,
            started,
            Deadlines(started, self.config.deadline),
            self._sources.scan,
        )
        review = withhold(asyncio.run(run.review()), self._sources.scan)
        # The digest of the shard's settings has its budget and paths in it.
        review = replace(review.in_shell() if in_shell else review, settings=self._settings)
        view = PublishedReview(
            review, conclude(review, Gates()), in_report(review.findings), repository=plan.repository
        )
        values: dict[str, Any] = without_secrets(part_json(view, plan, shard), self._sources.scan)
        return {**values, "digest": digest_of(values)}

    def _read_shard(self, plan: AuditPlan, shard: int) -> ReviewInput:
        """Returns the files of a shard as the input of a review."""
        sources, texts = self._sources, self._texts
        self.check(plan)
        order = {file.path: number for number, file in enumerate(plan.shard_files(shard))}
        diff = self.commits.diff(plan.head_sha, list(order))
        files = tuple(sorted(diff, key=lambda file: order.get(file.path, len(order))))
        planned = plan.shards[shard - 1]
        limits = {
            "max_model_calls": planned.model_calls,
            "max_credits": planned.credits,
            "max_tokens": planned.tokens,
        }
        tree = GitTree(sources.git, plan.head_sha)
        shows_instructions = self.config.context.instructions
        below = read_folder_texts(tree, files, instructions=shows_instructions)
        snapshot = Snapshot(
            _as_pull_request(plan, sources.git.empty_tree(plan.head_sha)),
            files,
            instructions=(*texts.instructions, *below.instructions) if shows_instructions else (),
            attributes={**texts.attributes, **below.attributes},
            notes=below.notes,
            audit=True,
        )
        entries = [
            entry
            for entry in plan.state.entries
            if entry.status is LedgerStatus.OPEN
            and not order.keys().isdisjoint((path := entry.record.path, plan.renames.get(path, path)))
        ]
        known = update_ledger(entries, [], files=files, renames=plan.renames, today=plan.today)
        request = ReviewRequest(
            snapshot,
            self.config.model_copy(update=limits),
            texts.templates,
            local=True,
            demo=sources.demo,
            earlier=tuple(EarlierFinding(each.fingerprint, each, "", asked=True) for each in known.findings),
        )
        return ReviewInput(request, tree)

    def check(self, plan: AuditPlan) -> None:
        """Raises SettingsError if the plan is not about this repository and commit."""
        sources = self._sources
        if plan.repository.casefold() != sources.repository.casefold():
            raise SettingsError(
                [f"The plan is about the repository {plan.repository}, not about {sources.repository}."]
            )
        if not sources.git.has(plan.head_sha):
            raise SettingsError(
                [
                    f"The plan is about the commit {plan.head_sha[:12]}, which the clone does not have: "
                    "check out the commit that the plan was made for."
                ]
            )

    def as_part(self, plan: AuditPlan, values: Any) -> AuditPart:
        """Returns the part of a shard that ran in this process."""
        return read_part(json.dumps(values).encode(), plan)

    @span("audit.merge")
    def merge(
        self,
        plan: AuditPlan,
        parts: Sequence[AuditPart],
        *,
        faults: Sequence[str] = (),
        baseline: bool = False,
        post: bool = True,
        only: Sequence[str] = (),
    ) -> AuditOutcome:
        """Merges the parts into the state, and writes it where `post` is set. Asks no model.

        `faults`: sentences about parts that could not be read; `only`: patterns of the paths that are reported. An
        error of writing is in the outcome, so that the report of what was paid for is not lost with it.
        """
        self.check(plan)
        # A plan does not need the alerts, for which it would need another permission.
        stored = replace(self._store.read(), alerts=self._store.dismissed_alerts())
        changes = dismissal_changes(stored)
        merged = merge_audit(plan, parts, stored.state, changes, self.commits, baseline=baseline)
        merged = replace(merged, failed=(*merged.failed, *faults))
        listing = self.commits.files(plan.head_sha) or ()
        selection = select_lap(listing, self.config, self.commits.attributes(plan.head_sha, listing))
        report = report_of(plan, merged, listing, selection, self.config, server_url=self._sources.server_url)
        if stored.controls.read_again and stored.state is not None and stored.state.lap == plan.state.lap:
            report = replace(report, read_again=True)  # the plan did not see it
        error = None
        if post:
            try:
                report = replace(
                    report, notes=(*report.notes, *self._store.write(merged, report, self.config.audit))
                )
            except Error as caught:
                error = caught
        if only:
            shown = [pair for pair in report.open if matches(only, pair[0].path)]
            report = replace(report, open=tuple(shown))
        return AuditOutcome(merged, report, self._sarif(merged, report), error)

    def show(self, *, only: Sequence[str] = ()) -> AuditOutcome:
        """Returns open findings and coverage at the head, from the state alone; writes nothing."""
        stored = self._store.read()
        settings = stored.state.settings if stored.state is not None else self._settings
        plan = self._plan(stored, settings)
        return self.merge(plan.model_copy(update={"shards": ()}), (), post=False, only=only)

    def _sarif(self, merged: AuditMerge, report: AuditReport) -> Any:
        """Returns all open findings as SARIF, and those whose alert was dismissed: code scanning closes alerts that are
        missing from an upload."""
        sources = self._sources
        review = Review(
            sources.head_sha,
            (*(finding for finding, _ in report.open), *merged.update.alerted),
            Coverage(),
            merged.usage,
            faults=merged.faults,
            demo=merged.demo,
            files=merged.files,
        )
        log = as_sarif(
            review,
            repository=sources.repository if sources.github is not None else "",
            server_url=sources.server_url,
            version=__version__,
            category="hunkwise-audit/",
        )
        return without_secrets(log, sources.scan)


@dataclass(frozen=True)
class AuditOutcome:
    """The outcome of an audit."""

    merged: AuditMerge
    report: AuditReport
    sarif: Any
    error: Error | None = None
    """Why the state or the issue could not be written. To be raised once the report is out."""

    @property
    def failed(self) -> tuple[str, ...]:
        """A sentence for each shard that failed or was cut."""
        return self.merged.failed

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.PARTIAL if self.failed else ExitCode.REVIEWED


def _as_pull_request(plan: AuditPlan, empty_tree: str) -> PullRequest:
    return PullRequest(
        repository=plan.repository,
        number=0,
        title="",
        body="",
        author="",
        base="",
        base_sha=empty_tree,
        head="HEAD",
        head_sha=plan.head_sha,
    )
