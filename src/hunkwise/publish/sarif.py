"""Writes a review as SARIF 2.1.0, for code scanning, editors and other tools that read the format.

The results are all open findings, not only this run's new ones: code scanning closes alerts that are missing from
an upload. Rules are prompts, or a prompt with a category. They have no `security-severity`: that is a property
of a rule, while severity here is each finding's own, so that it would change with every upload. There are no
`fixes` either: a tool could apply them without a review, and a suggestion is not checked against the file here.

GitHub's limits: 10 MB gzipped, 25,000 results, of which it shows the first 5,000.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Severity, reading_order, severity_order
from hunkwise.domain.review import FileCoverage, Review, ReviewFault
from hunkwise.domain.text import cut, joined, one_line
from hunkwise.publish import sanitize
from hunkwise.publish.annotations import (
    NO_TEXT,
    attributes,
    describe_location,
    lines_at_head,
    plain_text,
    suggestion_text,
)

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5_000
_ROOT = "%SRCROOT%"
_MOST_FILES_NAMED = 200
_TITLE_LIMIT = 300
_TEXT_LIMIT = 12_000
_ALL_TEXTS = 8_000_000
"""Maximum characters of all messages together, so that the file is always below GitHub's 10 MB."""
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
_NOT_IN_A_SLUG = re.compile("[^a-z0-9]+")
# A plain message may have links, `[text](1)`, and placeholders, `{0}`: a model must not be able to write either.
_LINK = re.compile(r"\](?=\()")
_ARGUMENT = re.compile(r"\{(?=\d+\})")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class _Rule:
    prompt: str
    category: str
    """A slug; empty for findings without a category."""

    @property
    def id(self) -> str:
        return f"{self.prompt}/{self.category}" if self.category else self.prompt


def as_sarif(
    review: Review, *, repository: str, server_url: str, version: str, category: str = "hunkwise/"
) -> Json:
    """Returns a log with one run, as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them.

    `repository` is `owner/name`; it and `server_url` may be empty, for example for a local range. Code scanning keeps
    the alerts of each `category` apart.
    """
    severe = sorted(review.findings, key=severity_order)
    findings = sorted(severe[:MOST_RESULTS], key=reading_order)
    rules = sorted({_make_rule(finding) for finding in findings})
    driver: Json = {
        "name": "hunkwise",
        "semanticVersion": version,
        "rules": [_describe_rule(rule) for rule in rules],
    }
    run: Json = {
        "tool": {"driver": driver},
        "automationDetails": {"id": category},
        "invocations": [_make_invocation(review, len(severe) - len(findings))],
        "results": list(_make_results(findings, rules, server_url)),
    }
    if server_url and repository and review.head_sha:
        address = f"{server_url.rstrip('/')}/{quote(repository, safe='/')}"
        at_head = {"repositoryUri": address, "revisionId": review.head_sha}
        run["versionControlProvenance"] = [{**at_head, "mappedTo": {"uriBaseId": _ROOT}}]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def with_root(log: Json, root: Path) -> Json:
    """Returns the log with the checkout's root on this machine, where an editor finds the files."""
    base = {_ROOT: {"uri": f"{root.absolute().as_uri().rstrip('/')}/"}}
    return {**log, "runs": [{**run, "originalUriBaseIds": base} for run in log["runs"]]}


def _make_rule(finding: Finding) -> _Rule:
    """Returns the rule of a finding; case and punctuation of its category do not matter."""
    return _Rule(_slugify(finding.prompt) or "review", _slugify(finding.category))


def _slugify(words: str) -> str:
    return _NOT_IN_A_SLUG.sub("-", words.lower()).strip("-")[:60].rstrip("-")


def _describe_rule(rule: _Rule) -> Json:
    """Returns the rule with every text that GitHub requires."""
    category = rule.category.replace("-", " ")
    of = f"of the category {category} " if category else ""
    short = f"Findings {of}of the prompt {rule.prompt}"
    full = f"What hunkwise's prompt {rule.prompt} found in the changed lines{f' about {category}' if category else ''}."
    words = f"{rule.prompt}-{rule.category}".split("-")
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in words),
        "shortDescription": {"text": f"{short}."},
        "fullDescription": {"text": full},
        "help": {
            "text": "Each finding says what to do about it. No person has checked it: do so before you act on it."
        },
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": [rule.category] if rule.category else []},
    }


def _make_results(findings: Sequence[Finding], rules: Sequence[_Rule], server_url: str) -> Iterator[Json]:
    """Yields one result per finding; repeated fingerprints are numbered, so that code scanning keeps both."""
    indexes = {rule: index for index, rule in enumerate(rules)}
    limit = min(_TEXT_LIMIT, _ALL_TEXTS // max(len(findings), 1) // 4)  # body and suggestion, each twice
    occurrences: Counter[str] = Counter()
    for finding in findings:
        rule = _make_rule(finding)
        occurrences[finding.fingerprint] += 1
        yield {
            "ruleId": rule.id,
            "ruleIndex": indexes[rule],
            "level": _LEVELS[finding.severity],
            "message": {
                "text": _make_plain_message(finding, limit, server_url),
                "markdown": _make_markdown_message(finding, limit, server_url),
            },
            "locations": [{"physicalLocation": _make_location(finding)}],
            "partialFingerprints": _make_fingerprints(finding, occurrences[finding.fingerprint]),
            "properties": _make_properties(finding),
        }


def _make_fingerprints(finding: Finding, occurrence: int) -> dict[str, str]:
    """Returns ours, and the one that GitHub uses: a hash and its number in the file, in CodeQL's form."""
    suffix = f":{occurrence}" if occurrence > 1 else ""
    return {
        "hunkwise/v1": f"{finding.fingerprint}{suffix}",
        "primaryLocationLineHash": f"{finding.fingerprint}:{occurrence}",
    }


def _make_properties(finding: Finding) -> Json:
    check = finding.check.value if finding.check else None
    values = {"severity": finding.severity.label, "confidence": finding.confidence, "check": check}
    return {name: value for name, value in values.items() if value is not None}


def _make_location(finding: Finding) -> Json:
    """Returns the finding's lines at the head; only the file if it is not about lines of the head."""
    location: Json = {"artifactLocation": _make_artifact(finding.path)}
    anchor = finding.anchor
    if anchor is not None and anchor.side is Side.RIGHT:
        first, last = lines_at_head(anchor)
        location["region"] = {"startLine": first, "endLine": last}
    return location


def _make_artifact(path: str) -> Json:
    """Returns the path, which may have any bytes, as a URI relative to the repository's root."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "replace")
    uri = quote(raw, safe="/")
    # After two slashes a URI has a host.
    return {"uri": f"%2F{uri[1:]}" if uri.startswith("/") else uri, "uriBaseId": _ROOT}


def _make_plain_message(finding: Finding, limit: int, server_url: str) -> str:
    """Returns the plain message, with the title first: GitHub shows only the first sentence in small spaces."""
    title = _shorten(one_line(finding.title), _TITLE_LIMIT, server_url)
    blocks = [title, describe_location(finding), _shorten(finding.body, limit, server_url).strip()]
    if finding.suggestion is not None:
        blocks.append(suggestion_text(_shorten(finding.suggestion, limit, server_url)))
    blocks.append(attributes(finding, server_url))
    return _remove_markup(joined(blocks)) or NO_TEXT


def _make_markdown_message(finding: Finding, limit: int, server_url: str) -> str:
    blocks = [f"**{sanitize.line(finding.title, _TITLE_LIMIT)}**" if finding.title.strip() else ""]
    blocks += [describe_location(finding), sanitize.text(finding.body, limit, server_url=server_url)]
    if finding.suggestion is not None:
        blocks.append(suggestion_text(cut(finding.suggestion, limit), path=finding.path))
    blocks.append(sanitize.line(attributes(finding, server_url), _TITLE_LIMIT))
    return joined(blocks)


def _shorten(text: str, limit: int, server_url: str) -> str:
    """Returns untrusted text as at most `limit` characters; cut before it is processed, as it may be very long."""
    return cut(plain_text(cut(text, limit), server_url), limit)


def _remove_markup(text: str) -> str:
    """Returns a plain message with links and placeholders made literal."""
    return _ARGUMENT.sub("{ ", _LINK.sub("] ", text))


def _make_invocation(review: Review, omitted: int) -> Json:
    """Returns whether the whole change was reviewed, and notifications of unreviewed files and of faults."""
    notifications = [_describe_unreviewed(file) for file in review.coverage.missing[:_MOST_FILES_NAMED]]
    more = len(review.coverage.missing) - len(notifications)
    counts = [
        (more, "more files were not fully reviewed: the JSON report names them."),
        (review.coverage.unlisted_files, "files were not listed by GitHub, and not reviewed."),
        (omitted, f"findings are not in this file, which holds the {MOST_RESULTS:,} most severe."),
    ]
    notifications += [
        _make_notification("warning", f"{number:,} {text}") for number, text in counts if number > 0
    ]
    notifications += [_make_notification("error", _describe_fault(fault)) for fault in review.faults]
    if review.demo:
        notifications.append(_make_notification("note", "Made by the demo's fixed rules, not by a model."))
    return {"executionSuccessful": review.coverage.complete, "toolExecutionNotifications": notifications}


def _describe_unreviewed(file: FileCoverage) -> Json:
    detail = f" ({_shorten(one_line(file.detail), 120, '')})" if file.detail else ""
    part = f"{file.reviewed_lines:,} of {file.changed_lines:,} changed lines were reviewed"
    location = {"physicalLocation": {"artifactLocation": _make_artifact(file.path)}}
    return {**_make_notification("warning", f"{part}: {file.reason}{detail}."), "locations": [location]}


def _describe_fault(fault: ReviewFault) -> str:
    return _shorten(one_line(f"{fault.kind}: {fault.message} {fault.hint}"), 1_000, "")


def _make_notification(level: str, text: str) -> Json:
    return {"level": level, "message": {"text": _remove_markup(text)}}
