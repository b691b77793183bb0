"""Finds secrets in all common encodings, and removes them from text."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from html import unescape
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, unquote

from hunkwise.domain.finding import Finding, Recheck, RecheckState
from hunkwise.domain.review import Review, ReviewFault
from hunkwise.domain.text import plain

_MIN_LENGTH = 8
"""Shorter secrets are not searched for."""
_MIN_ALPHANUMERIC = 12
"""Letters and digits of a secret that is also searched for without punctuation: a shorter one could be two words."""
_MIN_PIECE = 6
"""Letters and digits of a piece of a secret that is split over several texts; a shorter one can be a chance."""
_HEX_PREFIXES = (re.compile(r"\b\B"), re.compile("0x"), re.compile("x"), re.compile("u0*"))
"""Signs before each byte, as in `0x73`, `\\x73`, `\\u0073`, without punctuation; the first one matches nothing."""
_OCTAL = re.compile(r"(?:\\+0?|\b0o)([0-7]{2,3})[\s,;]*")
_REDACTED = "(The text here held one of this run's own secrets: see who could read it, and revoke it.)"
_WITHHELD = ReviewFault(
    "secret",
    "Something that was about to be posted or sent to a model held one of this run's own secrets, and was withheld.",
    "Treat that secret as leaked to the model: revoke it, and look for what in the change asked for it.",
)


class SecretScan:
    """Finds the given secrets raw, reversed, in hex, base64 (any alignment) and URL encoding."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._any_case: set[str] = set()
        self._alphanumeric: set[str] = set()
        self._encoded: set[str] = set()
        """Letters and digits of the base64 texts."""
        self._plain = sorted({value for value in secrets if len(value) >= _MIN_LENGTH}, key=len, reverse=True)
        for secret in self._plain:
            raw = secret.encode("utf-8", "surrogateescape")
            self._exact |= {secret, secret[::-1], quote(secret, safe=""), *_encode_base64(raw)}
            self._any_case.add(raw.hex())
            self._encoded |= set(map(_keep_alphanumeric, _encode_base64(raw)))
            letters = _keep_alphanumeric(secret)
            self._alphanumeric |= {letters, letters[::-1]} if len(letters) >= _MIN_ALPHANUMERIC else set()

    def found_in(self, text: str) -> bool:
        """Returns True if any secret is in the text, also with spaces or Markdown escapes in it, or encoded."""
        if not self._exact:
            return False
        octal = _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
        return self._found_in(text) or (octal != text and self._found_in(octal))

    def _found_in(self, text: str) -> bool:
        # Punctuation may break up a secret: readers skip it, or GitHub does not show it.
        letters = _keep_alphanumeric(text)
        folded = letters.lower()
        found = any(needle in letters for needle in self._alphanumeric)
        found = found or any(
            needle in prefix.sub("", folded) for prefix in _HEX_PREFIXES for needle in self._any_case
        )
        return found or any(self._contains_secret(decoded) for decoded in _decode_variants(text))

    def pieces_in(self, texts: Sequence[str]) -> frozenset[int]:
        """Returns the indexes of the texts that have all pieces of a secret together, in any order.

        The secret is raw, reversed, or in hex or base64 as a whole.
        """
        letters = [_keep_alphanumeric(text) for text in texts]
        folded = [text.lower() for text in letters]
        found: set[int] = set()
        for needle in self._alphanumeric | self._encoded:
            found |= _find_pieces(needle, letters)
        for needle in self._any_case:
            found |= _find_pieces(needle, folded)
        return frozenset(found)

    def redacted(self, text: str) -> str:
        """Replaces each secret in plain form with `***`, and each line that holds an encoded one with a note.

        The note replaces the whole text if a secret spans several lines. For messages about the run, which are always
        shown; `withhold` drops findings instead.
        """
        if not self.found_in(text):
            return text
        for secret in self._plain:
            text = text.replace(secret, "***")
        safe = "\n".join(_REDACTED if self.found_in(line) else line for line in text.split("\n"))
        return _REDACTED if self.found_in(safe) else safe

    def _contains_secret(self, text: str) -> bool:
        folded = text.lower()
        return any(needle in text for needle in self._exact) or any(
            needle in folded for needle in self._any_case
        )


def without_secrets(contents: Any, scan: SecretScan) -> Any:
    """Redacts every text in a JSON value, if any holds a secret; otherwise returns the value unchanged."""
    if not scan.found_in(json.dumps(contents, ensure_ascii=False)):
        return contents
    return _redact_value(contents, scan)


def _redact_value(value: Any, scan: SecretScan) -> Any:
    match value:
        case str():
            return scan.redacted(value)
        case dict():
            return {name: _redact_value(inner, scan) for name, inner in value.items()}
        case list() | tuple():
            return [_redact_value(inner, scan) for inner in value]
        case _:
            return value


def withhold(review: Review, scan: SecretScan) -> Review:
    """Removes findings, summary texts, notes and faults that hold a secret, and adds a fault that reports it."""
    whole = [safe for finding in review.findings if (safe := _withhold_finding(finding, scan)) is not None]
    evidence = (answer.evidence for answer in review.rechecks.values())
    pieces = scan.pieces_in([*map(_join_texts, whole), review.summary, *evidence])
    joined = any(
        scan.found_in("".join(getattr(finding, name) or "" for finding in whole))
        for name in ("title", "body", "suggestion", "category")
    )
    findings = tuple(finding for index, finding in enumerate(whole) if index not in pieces and not joined)
    suppressed = tuple(
        entry
        for entry in review.suppressed
        if not scan.found_in(f"{_join_texts(entry.finding)}\n{entry.reason}")
    )
    rechecks = {
        key: Recheck(RecheckState.UNDECIDED) if index in pieces or scan.found_in(answer.evidence) else answer
        for index, (key, answer) in enumerate(review.rechecks.items(), len(whole) + 1)
    }
    notes = tuple(note for note in review.notes if not scan.found_in(note))
    faults = tuple(fault for fault in review.faults if not scan.found_in(f"{fault.message}\n{fault.hint}"))
    in_summary = scan.found_in(review.summary) or len(whole) in pieces
    summary = "" if in_summary else review.summary
    walkthrough = review.walkthrough
    if walkthrough is not None and scan.found_in("\n".join(walkthrough.texts)):
        walkthrough = None
    safe_review = replace(
        review,
        findings=findings,
        suppressed=suppressed,
        rechecks=rechecks,
        notes=notes,
        summary=summary,
        walkthrough=walkthrough,
        faults=faults,
    )
    if safe_review == review:
        return review
    return replace(
        safe_review,
        faults=tuple(dict.fromkeys((*faults, _WITHHELD))),
        dropped=review.dropped
        + len(review.findings)
        - len(findings)
        + len(review.suppressed)
        - len(suppressed),
    )


def _withhold_finding(finding: Finding, scan: SecretScan) -> Finding | None:
    """Returns the finding, without its evidence if that holds a secret; None if another text holds one."""
    if not scan.found_in(_join_texts(finding)):
        return finding
    without_evidence = replace(finding, evidence="")
    return None if scan.found_in(_join_texts(without_evidence)) else without_evidence


def _join_texts(finding: Finding) -> str:
    """Joins all texts of a finding except the anchor's, which is the author's own code."""
    texts = (getattr(finding, entry.name) for entry in fields(finding))
    return "\n".join(text for text in texts if isinstance(text, str))


def _decode_variants(text: str) -> Iterator[str]:
    """Yields the text, then without spaces and backslashes, and that with URL and HTML encoding decoded."""
    yield text
    compact = "".join(plain(text).replace("\\", "").split())
    yield compact
    yield unquote(compact)
    yield unescape(compact)


def _keep_alphanumeric(text: str) -> str:
    """Returns only the letters and digits of a text, normalized by NFKC (other widths and styles)."""
    return "".join(filter(str.isalnum, normalize("NFKC", unescape(plain(text)))))


def _find_pieces(needle: str, texts: Sequence[str]) -> set[int]:
    """Returns the indexes of the texts that have consecutive pieces of the needle up to its end; empty if none do."""
    used: set[int] = set()
    start = 0
    while len(needle) - start >= _MIN_PIECE:
        end, best = start + _MIN_PIECE - 1, -1
        for index, text in enumerate(texts):
            while end < len(needle) and needle[start : end + 1] in text:
                end, best = end + 1, index
        if best < 0:
            return set()
        used.add(best)
        start = end
    return used


def _encode_base64(raw: bytes) -> Iterator[str]:
    """Yields the part of the base64 text that depends on these bytes only, for each of the three alignments."""
    for offset in range(3):
        padded = b"\0" * offset + raw
        first = (0, 2, 3)[offset]
        last = len(padded) * 8 // 6  # the next character contains bits of the bytes that follow
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(padded).decode("ascii")[first:last]
