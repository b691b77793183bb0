"""Repositories in memory for the tests of audits, and audits of them without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha1
from typing import Any

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding, Recheck, Severity
from hunkwise.domain.review import Coverage, FileCoverage, Review, SkipReason, SuppressedFinding, Usage
from hunkwise.flows.audit_merge import AuditMerge, merge_audit
from hunkwise.flows.audit_planning import AuditRequest, plan_audit
from hunkwise.publish.audit_files import AuditPart, AuditPlan, part_json, read_part
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.publish.placement import in_report, resolve_anchor
from hunkwise.settings.config import Config
from hunkwise.tracking.audit_state import AuditState
from hunkwise.tracking.ledger import DismissalChange
from tests.settings.test_config import parse
from tests.tracking.ledgers import whole

REPOSITORY = "octo/site"
SETTINGS = "0123456789abcdef"
MONDAY = date(2026, 11, 2)


def config(text: str = "") -> Config:
    """The configuration of audits, with these lines for `audit`."""
    return parse(f"version: 1\nchunk-size: 4000\n{text}").for_audit()


def blob(text: str) -> str:
    return sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


@dataclass
class FakeRepository:
    """Commits by their SHA, each with its files; `lost` ones cannot be read."""

    commits: dict[str, Mapping[str, str]] = field(default_factory=dict)
    history: bool = True
    moves: dict[str, str] = field(default_factory=dict)
    """What git finds as renamed between any two commits."""
    lost: set[str] = field(default_factory=set)

    def commit(self, files: Mapping[str, str]) -> str:
        """Adds a commit; returns its SHA."""
        sha = f"{len(self.commits) + 1:040x}"
        self.commits[sha] = dict(files)
        return sha

    def files(self, sha: str) -> tuple[TreeFile, ...] | None:
        if sha in self.lost:
            return None
        return tuple(
            TreeFile(path, blob(text), len(text)) for path, text in sorted(self.commits[sha].items())
        )

    def attributes(self, sha: str, files: Sequence[TreeFile]) -> Mapping[str, str]:
        return {}

    def activity(self, sha: str) -> Mapping[str, FileActivity] | None:
        return {} if self.history else None

    def renames(self, old: str, new: str) -> Mapping[str, str]:
        return self.moves if old not in self.lost and self.history else {}

    def diff(self, sha: str, paths: Sequence[str]) -> tuple[FileDiff, ...]:
        files = self.commits[sha]
        return tuple(whole(path, *files[path].splitlines()) for path in paths if path in files)


def plan(
    repository: FakeRepository,
    head: str,
    state: AuditState | None = None,
    *,
    using: Config | None = None,
    **changes: Any,
) -> AuditPlan:
    request = AuditRequest(REPOSITORY, head, using or config(), SETTINGS, MONDAY, state=state)
    return plan_audit(replace(request, **changes), repository)


def fault(
    repository: FakeRepository, head: str, path: str, line: int = 1, title: str = "It fails"
) -> Finding:
    """A finding on a line of a file."""
    files = {file.path: file for file in repository.diff(head, [path])}
    anchor = resolve_anchor(path, line, None, None, files)
    assert not isinstance(anchor, str)
    return Finding(path, Severity.HIGH, title, "Always.", anchor, "correctness", prompt="audit")


def part(
    of: AuditPlan,
    shard: int,
    repository: FakeRepository,
    found: Sequence[Finding] = (),
    *,
    skipped: Mapping[str, SkipReason] | None = None,
    calls: int = 1,
    settings: str = SETTINGS,
    rechecks: Mapping[str, Recheck] | None = None,
    suppressed: Sequence[SuppressedFinding] = (),
) -> AuditPart:
    """The report of a shard that has read all of its files but those in `skipped`."""
    reasons = skipped or {}
    coverage = tuple(
        FileCoverage(file.path, 1, 0 if file.path in reasons else 1, reasons.get(file.path))
        for file in of.shard_files(shard)
    )
    review = Review(
        of.head_sha, tuple(found), Coverage(coverage), Usage(model_calls=calls), settings=settings,
        rechecks=dict(rechecks or {}), suppressed=tuple(suppressed),
        files=repository.diff(of.head_sha, [file.path for file in of.files]),
    )  # fmt: skip
    view = PublishedReview(
        review, conclude(review, Gates()), in_report(review.findings), repository=REPOSITORY
    )
    return read_part(json.dumps(part_json(view, of, shard)).encode(), of)


def merge(
    of: AuditPlan,
    parts: Sequence[AuditPart],
    repository: FakeRepository,
    *,
    live: AuditState | None = None,
    dismissals: Sequence[DismissalChange] = (),
    baseline: bool = False,
) -> AuditMerge:
    return merge_audit(of, parts, live, dismissals, repository, baseline=baseline)


def audit(
    repository: FakeRepository,
    head: str,
    state: AuditState | None = None,
    found: Sequence[Finding] = (),
    **changes: Any,
) -> tuple[AuditPlan, AuditMerge]:
    """A whole audit that reads all that it plans."""
    planned = plan(repository, head, state, **changes)
    paths = [
        {file.path for file in planned.shard_files(number)} for number in range(1, len(planned.shards) + 1)
    ]
    parts = [
        part(planned, number, repository, [finding for finding in found if finding.path in of_shard])
        for number, of_shard in enumerate(paths, 1)
    ]
    return planned, merge(planned, parts, repository, live=state)


def read_paths(of: AuditPlan) -> list[str]:
    return sorted(file.path for file in of.files)
