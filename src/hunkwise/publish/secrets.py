"""Whether a text about to leave holds one of the secrets that we hold, plainly or encoded."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from html import unescape
from urllib.parse import quote, unquote

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Fault, Review

_SHORTEST = 8
_WITHHELD = Fault(
    "secret",
    "Something that was about to be posted held one of this run's own secrets, and was withheld.",
    "Treat that secret as leaked to the model: revoke it, and look for what in the change asked for it.",
)


class SecretScan:
    """Finds the given secrets raw, reversed, in hex, base64 (any alignment) and URL encoding."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._any_case: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                raw = secret.encode("utf-8", "surrogateescape")
                self._exact |= {secret, secret[::-1], quote(secret, safe=""), *_base64(raw)}
                self._any_case.add(raw.hex())

    def found_in(self, text: str) -> bool:
        """Whether any secret is in the text, blanks, Markdown's escapes and other encodings looked through."""
        if not self._exact:
            return False
        return any(self._in(reading) for reading in _readings(text))

    def _in(self, text: str) -> bool:
        folded = text.lower()
        return any(needle in text for needle in self._exact) or any(
            needle in folded for needle in self._any_case
        )


def withhold(review: Review, scan: SecretScan) -> Review:
    """The review without findings, summary, notes and fault texts that hold a secret; it says that it did so."""
    findings = tuple(finding for finding in review.findings if not scan.found_in(_words(finding)))
    notes = tuple(note for note in review.notes if not scan.found_in(note))
    faults = tuple(fault for fault in review.faults if not scan.found_in(f"{fault.message}\n{fault.hint}"))
    summary = "" if scan.found_in(review.summary) else review.summary
    kept = (findings, notes, faults, summary)
    if kept == (review.findings, review.notes, review.faults, review.summary):
        return review
    return replace(
        review,
        findings=findings,
        notes=notes,
        summary=summary,
        faults=(*faults, _WITHHELD),
        dropped=review.dropped + len(review.findings) - len(findings),
    )


def _words(finding: Finding) -> str:
    """All texts of a finding but its anchor's, which is the author's own code."""
    texts = (getattr(finding, entry.name) for entry in fields(finding))
    return "\n".join(text for text in texts if isinstance(text, str))


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and as a reader could easily turn it back."""
    yield text
    bare = "".join(text.replace("\\", "").split())
    yield bare
    yield unquote(bare)
    yield unescape(bare)


def _base64(raw: bytes) -> Iterator[str]:
    """The stretch of base64 that the bytes determine alone, at each of their three alignments."""
    for offset in range(3):
        padded = b"\0" * offset + raw
        first = (0, 2, 3)[offset]
        last = len(padded) * 8 // 6  # the character after it holds bits of what follows
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(padded).decode("ascii")[first:last]
