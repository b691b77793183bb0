"""Which finding of this run says what was raised before: by its code, else by its words at the same place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hunkwise.domain.finding import Anchor, Finding
from hunkwise.publish.lifecycle.dismissal import Dismissal
from hunkwise.publish.lifecycle.pairing import likeness, paired, speak_alike, words
from hunkwise.publish.lifecycle.remembered import Entry
from hunkwise.publish.lifecycle.whereabouts import NEARBY, Gone, InDiff, OnFile, Outside, Unknown, Whereabouts
from hunkwise.publish.markers import LONGEST_CATEGORY

_Score = tuple[float, ...] | None
_Rule = Callable[[int, int], _Score]
_TWINS = 0.7
"""Likeness of titles from which two findings at one place are the same."""
_MENDED = 0.5
"""Likeness of titles from which a finding is what became of one whose code was changed."""
_CLOSE = 10
"""Lines within which the category and a word in common say so too."""


def matched(
    found: Sequence[Finding], entries: Sequence[Entry], stand: Sequence[Whereabouts]
) -> dict[int, int]:
    """Index of a finding → index of the entry that it repeats, one to one, by the surest signs first."""
    return _Matching(found, entries, stand).pairs()


class _Matching:
    """Each rule scores a finding and an entry of the same file, the less the better; None where they differ."""

    def __init__(
        self, found: Sequence[Finding], entries: Sequence[Entry], stand: Sequence[Whereabouts]
    ) -> None:
        self._found = found
        self._entries = entries
        self._stand = stand
        self._words_found = [words(finding.title) for finding in found]
        self._words_known = [words(entry.raised.title) for entry in entries]
        self._at_path: dict[str, list[int]] = {}
        for index, standing in enumerate(stand):
            self._at_path.setdefault(standing.path, []).append(index)

    def pairs(self) -> dict[int, int]:
        pairs: dict[int, int] = {}
        for rule in (self._same_fingerprint, self._twins, self._same_code, self._without_line, self._mended):
            pairs |= paired(self._scored(rule, pairs))
        return pairs

    def _scored(self, rule: _Rule, pairs: dict[int, int]) -> Iterator[tuple[tuple[float, ...], int, int]]:
        taken = set(pairs.values())
        for index, finding in enumerate(self._found):
            if index in pairs:
                continue
            for known in self._at_path.get(finding.path, ()):
                if known not in taken and (score := rule(index, known)) is not None:
                    yield score, index, known

    def _same_fingerprint(self, index: int, known: int) -> _Score:
        finding, entry = self._found[index], self._entries[known]
        if finding.fingerprint != entry.raised.fingerprint:
            return None
        unlike = -self._likeness(index, known)  # of several on one line each has its own words
        if finding.anchor is None or entry.raised.line is None:
            return (0, unlike)
        if finding.anchor.side is not entry.raised.side:
            return None
        match self._stand[known]:
            case InDiff(anchor):
                # The same code on other lines is another fault: it stands in both places.
                apart = abs(finding.anchor.line - anchor.line)
                return (apart, unlike) if _overlap(finding.anchor, anchor) else None
            case Outside() | Gone() | Unknown() | OnFile():
                return (_apart(finding, entry), unlike)

    def _twins(self, index: int, known: int) -> _Score:
        if self._shared_place(index, known) is None:
            return None
        alike = self._likeness(index, known)
        return (-alike,) if alike >= _TWINS else None

    def _same_code(self, index: int, known: int) -> _Score:
        """For a renamed or moved file, and for code that a finding was carried over to."""
        finding, record = self._found[index], self._entries[known].raised
        anchor = self._shared_place(index, known)
        if anchor is None or finding.code != record.code or not _same_category(finding, record.category):
            return None
        return abs(anchor.line - (finding.anchor or anchor).line), -self._likeness(index, known)

    def _without_line(self, index: int, known: int) -> _Score:
        """Where one of the two is about the file, and the other, as far as it names a line, not elsewhere."""
        finding, entry = self._found[index], self._entries[known]
        if finding.anchor is not None and entry.raised.line is not None:
            return None
        alike = self._likeness(index, known)
        apart = _apart(finding, entry)
        return (-alike, apart) if alike >= _TWINS and apart <= NEARBY else None

    def _mended(self, index: int, known: int) -> _Score:
        """Where the code was changed, and the fault is still there."""
        finding, entry = self._found[index], self._entries[known]
        if not isinstance(self._stand[known], Gone | Unknown):
            return None
        if finding.anchor is not None and finding.anchor.side is not entry.raised.side:
            return None
        alike = self._likeness(index, known)
        apart = _apart(finding, entry)
        if entry.dismissed is Dismissal.TRUSTED:
            # What was dismissed was the code as it was: only the very same words are taken for it.
            return (-alike, apart) if alike >= _TWINS and apart <= _CLOSE else None
        related = _same_category(finding, entry.raised.category) and speak_alike(
            self._words_found[index], self._words_known[known]
        )
        near = alike >= _MENDED and apart <= NEARBY
        close = finding.category != "" and related and apart <= _CLOSE
        return (-alike, apart) if near or close else None

    def _likeness(self, index: int, known: int) -> float:
        return likeness(self._words_found[index], self._words_known[known])

    def _shared_place(self, index: int, known: int) -> Anchor | None:
        """The entry's present place, where the finding is on some of its lines."""
        anchor, standing = self._found[index].anchor, self._stand[known]
        if anchor is None or not isinstance(standing, InDiff) or not _overlap(anchor, standing.anchor):
            return None
        return standing.anchor


def _overlap(one: Anchor, other: Anchor) -> bool:
    same_side = one.side is other.side
    return same_side and one.lines.start < other.lines.stop and other.lines.start < one.lines.stop


def _apart(finding: Finding, entry: Entry) -> int:
    """Lines between the finding and where the entry is or was; 0 where one of them names no line."""
    line = finding.anchor.line if finding.anchor else finding.said_line
    if line is None:
        return 0
    return min((abs(line - known) for known in entry.lines), default=0)


def _same_category(finding: Finding, category: str) -> bool:
    return finding.category[:LONGEST_CATEGORY].casefold() == category.casefold()
