"""Keeps the state of audits, in an issue on GitHub or in a file, and reads the files that their jobs exchange."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from hunkwise.domain.audit import DismissedAlert
from hunkwise.errors import GitHubError, SettingsError
from hunkwise.files import read_bounded, write_whole
from hunkwise.flows.audit_merge import AuditMerge, StoredAudit
from hunkwise.github.issues import AuditIssue, AuditIssues
from hunkwise.publish.audit_boxes import read_boxes
from hunkwise.publish.audit_files import MAX_PLAN_BYTES, AuditPart, AuditPlan, read_part, read_plan
from hunkwise.publish.audit_issue import (
    ISSUE_MARKER,
    LABEL,
    AuditReport,
    issue_body,
    notify_comment,
)
from hunkwise.settings.audit_settings import AuditSettings
from hunkwise.tracking.audit_state import (
    as_json,
    decode_comment,
    encode_comment,
    from_json,
    is_state_comment,
)

_MOST_BYTES = 64 * 1024 * 1024
MAX_PART_BYTES = 10 * 1024 * 1024
PLAN_NAME = "plan.json"
"""As the step of an audit names its plan, which may be downloaded into the folder of the parts."""


class StateStore(Protocol):
    """Keeps the state between audits."""

    @property
    def url(self) -> str:
        """The address of the issue; empty if there is none."""

    def read(self) -> StoredAudit:
        """Returns state and boxes, without alerts. Raises Error."""

    def dismissed_alerts(self) -> tuple[DismissedAlert, ...] | None:
        """Returns the alerts that people dismissed; None if they cannot be read. Raises Error."""

    def write(self, merged: AuditMerge, report: AuditReport, settings: AuditSettings) -> tuple[str, ...]:
        """Writes state and report; returns a sentence for each thing that could not be kept. Raises Error."""


def default_path(repository: Path, environ: Mapping[str, str]) -> Path:
    """Returns the state file of a clone in the user's cache: nothing is written into the repository."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache"))
    folder = repository.resolve()
    key = sha256(os.fsencode(folder)).hexdigest()[:16]
    return cache / "hunkwise" / "audits" / f"{folder.name[:40]}-{key}.json"


class StateFile:
    """The state in a file. Methods raise SettingsError."""

    url = ""

    def __init__(self, path: Path, repository: str) -> None:
        self._path = path
        self._repository = repository

    def read(self) -> StoredAudit:
        """Returns the state; an empty one if there is no file."""
        try:
            raw = read_bounded(self._path, _MOST_BYTES)
        except FileNotFoundError:
            return StoredAudit()
        except OSError as error:
            raise self._error(f"cannot be read ({error.strerror})") from error
        try:
            state = from_json(json.loads(raw)) if len(raw) <= _MOST_BYTES else None
        except (ValueError, RecursionError):
            state = None
        if state is None:
            raise self._error("is damaged, or is no state of an audit")
        if state.repository != self._repository:
            raise self._error(f"is about another repository, {state.repository}")
        return StoredAudit(state)

    def dismissed_alerts(self) -> None:
        return None

    def write(self, merged: AuditMerge, report: AuditReport, settings: AuditSettings) -> tuple[str, ...]:
        del report, settings
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(as_json(merged.state)) + "\n")
        except OSError as error:
            raise self._error(f"cannot be written ({error.strerror})") from error
        return ()

    def _error(self, what: str) -> SettingsError:
        return SettingsError(
            [f"The state file {self._path} {what}: delete it, or name another one by --state."]
        )


class StateIssue:
    """The state in a comment of ours on the audit's issue. Methods raise GitHubError."""

    def __init__(self, issues: AuditIssues, repository: str) -> None:
        self._issues = issues
        self._repository = repository
        self._issue: AuditIssue | None = None

    @property
    def url(self) -> str:
        return self._issue.url if self._issue is not None else ""

    def read(self) -> StoredAudit:
        """Reads state and boxes: a state comment that somebody edited is not believed, boxes are."""
        issue = self._issue = self._issues.find(ISSUE_MARKER, LABEL)
        if issue is None:
            return StoredAudit()
        comments = [comment for comment in issue.state_comments if is_state_comment(comment.body)]
        states = [decode_comment(comment, self._repository) for comment in comments[-1:]]
        state = states[0] if states else None
        notes: tuple[str, ...] = ()
        if state is None:
            why = "was edited or is damaged" if comments else "is missing"
            notes = (
                f"The comment with the state {why}: all files are read again. Dismissed boxes still count.",
            )
        return StoredAudit(state, read_boxes(issue.body), issue.body_editor, notes=notes)

    def dismissed_alerts(self) -> tuple[DismissedAlert, ...] | None:
        return self._issues.dismissed_alerts()

    def write(self, merged: AuditMerge, report: AuditReport, settings: AuditSettings) -> tuple[str, ...]:
        """Writes the state first: the issue shows what is kept."""
        text, omitted = encode_comment(merged.state)
        notes: tuple[str, ...] = ()
        if omitted:
            notes = (
                f"The state has no room for {omitted} of the open findings, the least severe: they are in the report, "
                "and reported again when their files are read again. Raise `min-severity` of `audit`.",
            )
        body, issue = issue_body(report), self._issue
        if issue is None:
            issue = self._issue = self._issues.create(settings.issue, body, LABEL, text)
        else:
            self._issues.write_state(issue, text)
        # Before the body, which the next audit edits again: a finding is new in one audit only.
        if news := notify_comment(report, settings.notify_on):
            try:
                self._issues.comment(issue, news)
            except GitHubError as error:
                notes += (f"The comment on new findings could not be posted: {error.message}",)
        if body != issue.body:
            self._issues.edit(issue, body)
        return notes


def read_parts(paths: Sequence[Path], plan: AuditPlan) -> tuple[list[AuditPart], list[str]]:
    """Reads the reports of shards; a folder stands for all of its JSON files, except plan.json.

    Returns also a sentence for each file that is missing or damaged: its shard is read in the next audit.
    """
    parts: dict[int, AuditPart] = {}
    faults: list[str] = []
    if not plan.shards:  # no job has run, so that there may be no folder
        return [], []
    files = [file for path in paths for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    for file in files:
        if file.name == PLAN_NAME:
            continue
        try:
            part = read_part(read_bounded(file, MAX_PART_BYTES), plan)
        except OSError as error:
            faults.append(f"{file} cannot be read ({error.strerror}).")
            continue
        except SettingsError as error:
            faults += [f"{file}: {fault}" for fault in error.faults]
            continue
        if part.shard in parts:
            faults.append(f"{file}: there is another report of shard {part.shard}; this one is not used.")
        else:
            parts[part.shard] = part
    return list(parts.values()), faults


def read_plan_file(path: Path) -> AuditPlan:
    """Reads the plan of an audit. Raises SettingsError."""
    try:
        return read_plan(read_bounded(path, MAX_PLAN_BYTES))
    except OSError as error:
        raise SettingsError(
            [
                f"The plan {path} cannot be read ({error.strerror}): name the file that the planning step has written."
            ]
        ) from error
