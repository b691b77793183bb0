"""Finds secrets in any of their usual encodings, and takes them out of text."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from html import unescape
from unicodedata import normalize
from urllib.parse import quote, unquote

from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Review, ReviewFault
from hunkwise.domain.text import plain

_SHORTEST = 8
_SHORTEST_SPELT = 12
"""Letters and digits of a secret that is looked for without all signs: a shorter one could be two words."""
_REDACTED = "(What stood here held one of this run's own secrets: see who was told it, and revoke it.)"
_WITHHELD = ReviewFault(
    "secret",
    "Something that was about to be posted held one of this run's own secrets, and was withheld.",
    "Treat that secret as leaked to the model: revoke it, and look for what in the change asked for it.",
)


class SecretScan:
    """Finds the given secrets raw, reversed, in hex, base64 (any alignment) and URL encoding."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._any_case: set[str] = set()
        self._spelt: set[str] = set()
        self._plain = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        for secret in self._plain:
            raw = secret.encode("utf-8", "surrogateescape")
            self._exact |= {secret, secret[::-1], quote(secret, safe=""), *_base64(raw)}
            self._any_case.add(raw.hex())
            letters = _letters(secret)
            self._spelt |= {letters, letters[::-1]} if len(letters) >= _SHORTEST_SPELT else set()

    def found_in(self, text: str) -> bool:
        """Whether any secret is in the text, blanks, Markdown's escapes and other encodings looked through."""
        if not self._exact:
            return False
        letters = _letters(text)  # whatever signs a reader would pass over, or GitHub would not show
        spelt = any(needle in letters for needle in self._spelt)
        spelt = spelt or any(needle in letters.lower() for needle in self._any_case)
        return spelt or any(self._in(reading) for reading in _readings(text))

    def redacted(self, text: str) -> str:
        """The text with `***` for each secret that stands there plainly, and without the lines that hold one otherwise.

        Without all of it where it takes several lines to hold one. For words on how a run went: they must be said.
        """
        if not self.found_in(text):
            return text
        for secret in self._plain:
            text = text.replace(secret, "***")
        safe = "\n".join(_REDACTED if self.found_in(line) else line for line in text.split("\n"))
        return _REDACTED if self.found_in(safe) else safe

    def _in(self, text: str) -> bool:
        folded = text.lower()
        return any(needle in text for needle in self._exact) or any(
            needle in folded for needle in self._any_case
        )


def without_secrets(contents: object, scan: SecretScan) -> object:
    """Values of JSON with each text in them redacted, where any holds a secret; else as they are."""
    if not scan.found_in(json.dumps(contents, ensure_ascii=False)):
        return contents
    return _redacted(contents, scan)


def _redacted(value: object, scan: SecretScan) -> object:
    match value:
        case str():
            return scan.redacted(value)
        case dict():
            return {name: _redacted(inner, scan) for name, inner in value.items()}
        case list() | tuple():
            return [_redacted(inner, scan) for inner in value]
        case _:
            return value


def withhold(review: Review, scan: SecretScan) -> Review:
    """The review without findings, words on the change, notes and fault texts that hold a secret; it says so."""
    findings = tuple(safe for finding in review.findings if (safe := _safe(finding, scan)) is not None)
    refuted = tuple(
        one for one in review.refuted if not scan.found_in(f"{_words(one.finding)}\n{one.reason}")
    )
    notes = tuple(note for note in review.notes if not scan.found_in(note))
    faults = tuple(fault for fault in review.faults if not scan.found_in(f"{fault.message}\n{fault.hint}"))
    summary = "" if scan.found_in(review.summary) else review.summary
    walkthrough = review.walkthrough
    if walkthrough is not None and scan.found_in("\n".join(walkthrough.texts)):
        walkthrough = None
    kept = (findings, refuted, notes, faults, summary, walkthrough)
    found = (review.findings, review.refuted, review.notes, review.faults, review.summary, review.walkthrough)
    if kept == found:
        return review
    return replace(
        review,
        findings=findings,
        refuted=refuted,
        notes=notes,
        summary=summary,
        walkthrough=walkthrough,
        faults=(*faults, _WITHHELD),
        dropped=review.dropped + len(review.findings) - len(findings) + len(review.refuted) - len(refuted),
    )


def _safe(finding: Finding, scan: SecretScan) -> Finding | None:
    """The finding without what the second opinion said, where a secret is in that; None where it is elsewhere."""
    if not scan.found_in(_words(finding)):
        return finding
    bare = replace(finding, evidence="")
    return None if scan.found_in(_words(bare)) else bare


def _words(finding: Finding) -> str:
    """All texts of a finding but its anchor's, which is the author's own code."""
    texts = (getattr(finding, entry.name) for entry in fields(finding))
    return "\n".join(text for text in texts if isinstance(text, str))


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and as a reader could easily turn it back."""
    yield text
    bare = "".join(plain(text).replace("\\", "").split())
    yield bare
    yield unquote(bare)
    yield unescape(bare)


def _letters(text: str) -> str:
    """Its letters and digits alone, those of other widths and styles as the plain ones."""
    return "".join(filter(str.isalnum, normalize("NFKC", unescape(plain(text)))))


def _base64(raw: bytes) -> Iterator[str]:
    """The stretch of base64 that the bytes determine alone, at each of their three alignments."""
    for offset in range(3):
        padded = b"\0" * offset + raw
        first = (0, 2, 3)[offset]
        last = len(padded) * 8 // 6  # the character after it holds bits of what follows
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(padded).decode("ascii")[first:last]
