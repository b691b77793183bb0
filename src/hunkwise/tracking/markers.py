"""Writes and reads the hidden markers in our comments, and the values that they store for later runs."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import NO_SUMMARY, ChangeSummary, Finding, Severity, Verification
from hunkwise.domain.review import Destination
from hunkwise.domain.text import cut


@dataclass(frozen=True, slots=True)
class PreviousFinding:
    """A finding that an earlier run raised, as stored in our comments."""

    fingerprint: str
    path: str
    severity: Severity
    title: str
    category: str = ""
    prompt: str = "review"
    side: Side = Side.RIGHT
    line: int | None = None
    """Last line at the head at which it was last raised; None if it is about the file."""
    start_line: int | None = None
    code: str = ""
    """`finding.code_key` of the anchored lines; without an anchor, of a file that is not in the diff, or empty."""
    where: Destination = Destination.INLINE
    """The destination that it was posted to."""
    deleted: bool = False
    """A person deleted its comment, or dismissed it by a command without a thread: only the state can store that."""
    check: Verification | None = None
    """Result of that run's verification; None if it was not verified."""
    fixed: bool = False
    """A later run found it fixed although its code still exists: only the state can store that."""

    @property
    def span(self) -> int:
        """Number of anchored lines; 0 without an anchor."""
        return 0 if self.line is None else self.line - (self.start_line or self.line) + 1


@dataclass(frozen=True, slots=True)
class Pause:
    """A command by which a person stopped automatic reviews of a pull request."""

    by: str
    """Login."""
    at: str
    """In GitHub's format: `2026-01-02T03:04:05Z`."""


@dataclass(frozen=True, slots=True)
class ThreadDecision:
    """A person's command on the finding of a thread, as our reply to it records."""

    dismissed: bool
    """False if the command reopened the finding."""
    by: str
    """Login of that person, who had write access."""
    resolved: bool
    """Whether the thread was resolved when we replied: if that differs now, somebody decided again."""
    fixed: bool = False
    """Whether we had closed it as fixed before."""


@dataclass(frozen=True)
class HiddenState:
    """The state that is hidden in the summary comment. It is used only if we wrote that comment."""

    repository: str
    """`owner/name`, so that a copy on another pull request is ignored."""
    number: int
    head_sha: str
    """The head that was reviewed last."""
    reviewed_shas: tuple[str, ...]
    """Heads that were reviewed, the latest last; the newest 20."""
    base: str
    """Name of the base branch."""
    rewrites: int
    """`Conversation.rewrites` at that time."""
    settings: str
    """Digest of configuration, prompts and instructions: if it differs, everything is reviewed again."""
    hunks: frozenset[str] = frozenset()
    """`plan.incremental.kept_keys` of the hunks that were reviewed completely by all of their prompts."""
    findings: tuple[PreviousFinding, ...] = ()
    """Open findings: raised, neither fixed nor dismissed; also closed ones that only the state can recognize."""
    conclusion: str = ""
    """The output of that name."""
    summary: ChangeSummary = NO_SUMMARY
    """The summary of the change, so that the next run can update it."""
    paused: Pause | None = None
    """None if new commits are reviewed automatically."""


LONGEST_TITLE = 120
LONGEST_CATEGORY = 100
_LONGEST_PROMPT = 200
_LONGEST_PATH = 4_096
_COUNT = 11
"""Number of values in a record."""
_DELETED, _FIXED_ALREADY = "deleted", "fixed"
"""One more value if the finding is closed; the verification result follows, if there is one."""
_CHECK_BY_VALUE = {check.value: check for check in Verification}
_LAST_LINE = 10**9
LONGEST_LOGIN = 100
_LONGEST_SPAN = 1_000
_MOST_MARKERS = 300
_LONGEST_MARKER = 4_096
LONGEST_TEXT = 70_000
"""Somewhat above GitHub's limit of a body: a longer text is not ours."""
_FINGERPRINT = re.compile("[0-9a-f]{16}")
_CODE = re.compile("(?:[0-9a-f]{12})?")
RESEMBLES_MARKER = re.compile(r"<!--(?=\s*hunkwise)", re.IGNORECASE)
"""The start of what could be taken for one of our markers."""


def marker(kind: str, *words: str) -> str:
    """Returns a hidden line of ours; the words must not contain `-->`."""
    return " ".join(("<!--", f"hunkwise:{kind}", "v1", *words, "-->"))


def marker_pattern(kind: str, *words: str) -> re.Pattern[str]:
    """Returns the pattern of a line that is such a marker; the words are patterns."""
    return re.compile(f"^{marker(kind, *words)}\r?$", re.MULTILINE)


def count_markers(kind: str, text: str) -> int:
    """Returns how many markers of this kind a text has, also invalid ones and those of other versions."""
    return text.count(f"<!-- hunkwise:{kind} ")


COMPRESSED = "[A-Za-z0-9+/]{4,}={0,2}"
"""Pattern of a word by `compress`."""
_FINDING = marker_pattern("finding", "fp=([0-9a-f]{16})", "([A-Za-z0-9+/]{4,4096}={0,2})")
_FIXED = marker_pattern("fixed", "head=[0-9A-Za-z._]{0,80}")
_DECISION = marker_pattern(
    "(dismissed|reopened)", "by=([0-9A-Za-z_-]{0,100})", "resolved=(yes|no)", "fixed=(yes|no)"
)
_REVIEW = re.compile(r"<!-- hunkwise:review v\d{1,9} run=[\w.]* head=[\w.]* -->", re.ASCII)
_ANY = re.compile(r"^<!-- hunkwise:[a-z]+ v1[^\n]*-->\r?\n?", re.MULTILINE)


def make_record(finding: Finding, where: Destination) -> PreviousFinding:
    """Returns the record for later runs of a finding that is posted to `where`."""
    anchor = finding.anchor
    return PreviousFinding(
        fingerprint=finding.fingerprint,
        path=finding.path,
        severity=finding.severity,
        title=cut(finding.title, LONGEST_TITLE),
        category=finding.category[:LONGEST_CATEGORY],
        prompt=finding.prompt[:_LONGEST_PROMPT],
        side=anchor.side if anchor else Side.RIGHT,
        line=anchor.line if anchor else None,
        start_line=anchor.start_line if anchor else None,
        code=finding.code,
        where=where,
        check=finding.check,
    )


def finding_marker(finding: Finding, where: Destination) -> str:
    """Returns the hidden line with a finding's record, for a comment or a paragraph of a review's body.

    If the path is too long, the line has only the fingerprint, and later runs ignore it.
    """
    # Only the state stores the verification result, so that a comment is recognized whatever the result was.
    record = replace(make_record(finding, where), check=None)
    fingerprint = f"fp={record.fingerprint}"
    values = as_values(record)
    packed = b64encode(as_bytes(values[1:])).decode("ascii") if values else ""
    whole = marker("finding", fingerprint, packed)
    return whole if packed and len(whole) <= _LONGEST_MARKER else marker("finding", fingerprint)


def raised_in(text: str) -> tuple[PreviousFinding, ...]:
    """Returns the findings of the markers in a text of ours, in their order; invalid markers are skipped."""
    if len(text) > LONGEST_TEXT:
        return ()
    records = map(_parse_marker, islice(_FINDING.finditer(text), _MOST_MARKERS))
    return tuple(record for record in records if record is not None)


def without_markers(text: str) -> str:
    """Returns the text without our marker lines, for readers of the Markdown source."""
    return _ANY.sub("", text).strip()


def review_marker(run: str, head_sha: str) -> str:
    """Returns the hidden line by which a run recognizes its own review. `run` should be hard to guess."""
    return marker("review", f"run={_word(run)}", f"head={_word(head_sha)}")


def has_review_marker(text: str) -> bool:
    """Returns whether a review is by hunkwise, of any version: accounts such as github-actions[bot] are shared."""
    return _REVIEW.search(text) is not None


def is_review_marker(text: str) -> bool:
    """Returns whether a text of ours is only a review's marker."""
    return _REVIEW.fullmatch(text.strip()[:_LONGEST_MARKER]) is not None


def fixed_marker(head_sha: str) -> str:
    """Returns the hidden line of a comment that marks its thread as fixed at `head_sha`."""
    return marker("fixed", f"head={_word(head_sha)[:80]}")


def is_fixed(text: str) -> bool:
    """Returns whether a text of ours marks its thread as fixed."""
    return _FIXED.search(text[:LONGEST_TEXT]) is not None


def decision_marker(decision: ThreadDecision) -> str:
    """Returns the hidden line of our reply to a command that dismissed or reopened the finding of a thread."""
    by = re.sub("[^0-9A-Za-z_]+", "-", decision.by)[:LONGEST_LOGIN]
    resolved, fixed = ("yes" if flag else "no" for flag in (decision.resolved, decision.fixed))
    kind = "dismissed" if decision.dismissed else "reopened"
    return marker(kind, f"by={by}", f"resolved={resolved}", f"fixed={fixed}")


def decision_in(text: str) -> ThreadDecision | None:
    """Returns the decision that a text of ours records; None if it records none."""
    found = _DECISION.search(text[:LONGEST_TEXT])
    if found is None:
        return None
    kind, by, resolved, fixed = found.groups()
    return ThreadDecision(kind == "dismissed", by, resolved == "yes", fixed == "yes")


def _word(text: str) -> str:
    """Returns only the characters that are safe in a marker: ASCII letters, digits, `.` and `_`."""
    return "".join(char for char in text if char.isascii() and (char.isalnum() or char in "._"))


def as_values(record: PreviousFinding) -> list[Any] | None:
    """Returns the record as a list for JSON, its texts cut to their limits; None if it could not be read back."""
    values = [
        record.fingerprint,
        record.path,
        int(record.severity),
        cut(record.title, LONGEST_TITLE),
        record.category[:LONGEST_CATEGORY],
        record.prompt[:_LONGEST_PROMPT],
        record.side.value,
        record.line,
        record.start_line,
        record.code,
        record.where.value,
        *([_DELETED] if record.deleted else [_FIXED_ALREADY] if record.fixed else []),
        *([record.check.value] if record.check else []),
    ]
    return values if from_values(values) is not None else None


def from_values(values: object) -> PreviousFinding | None:
    """Returns the record from a list by `as_values`; None for anything that it cannot have returned."""
    if not isinstance(values, list) or not _COUNT <= len(values) <= _COUNT + 2:
        return None
    optional = values[_COUNT:]
    deleted, fixed = optional[:1] == [_DELETED], optional[:1] == [_FIXED_ALREADY]
    check = optional[deleted or fixed :]
    if check and not (len(check) == 1 and isinstance(check[0], str) and check[0] in _CHECK_BY_VALUE):
        return None
    fingerprint, path, severity, title, category, prompt, side, line, start_line, code, where = values[
        :_COUNT
    ]
    texts = [(path, _LONGEST_PATH), (title, LONGEST_TITLE), (category, LONGEST_CATEGORY)]
    texts += [(prompt, _LONGEST_PROMPT), (side, 5), (where, 10), (fingerprint, 16), (code, 12)]
    if not all(isinstance(text, str) and len(text) <= limit for text, limit in texts) or not path:
        return None
    if not (_FINGERPRINT.fullmatch(fingerprint) and _CODE.fullmatch(code)):
        return None
    if type(severity) is not int or not _is_valid_range(start_line, line):
        return None
    try:
        level, diff_side, destination = Severity(severity), Side(side), Destination(where)
    except ValueError:
        return None
    return PreviousFinding(
        fingerprint, path, level, title, category, prompt, diff_side, line, start_line, code, destination, deleted,
        _CHECK_BY_VALUE[check[0]] if check else None, fixed,
    )  # fmt: skip


def as_bytes(values: object) -> bytes:
    """Returns compact JSON; surrogates, which represent bytes of a path that is not UTF-8, are preserved."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "surrogatepass")


def from_bytes(content: bytes) -> object:
    """Returns the values that `as_bytes` encoded; None for anything that is not JSON."""
    try:
        return json.loads(content.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):  # thousands of nested brackets exceed the parser's recursion limit
        return None


def compress(content: bytes) -> str:
    """Returns the bytes compressed, as one word for a marker."""
    return b64encode(zlib.compress(content, 9)).decode("ascii")


def decompress(word: str, largest: int) -> bytes | None:
    """Returns the bytes that `compress` encoded; None if they are damaged, or more than `largest` (1 or more)."""
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(b64decode(word, validate=True), largest)
    except (ValueError, zlib.error):
        return None
    return content if decompressor.eof and not decompressor.unused_data else None


def _parse_marker(found: re.Match[str]) -> PreviousFinding | None:
    if len(found[0]) > _LONGEST_MARKER:
        return None
    try:
        content = b64decode(found[2], validate=True)
    except ValueError:
        return None
    values = from_bytes(content)
    return from_values([found[1], *values]) if isinstance(values, list) else None


def _is_valid_range(start_line: object, line: object) -> bool:
    """Returns whether these can be a finding's first and last line; both are None if it is about the file."""
    if start_line is not None and type(start_line) is not int:
        return False
    if line is None:
        return start_line is None
    if type(line) is not int or not 0 < line <= _LAST_LINE:
        return False
    return start_line is None or 0 < start_line <= line < start_line + _LONGEST_SPAN
