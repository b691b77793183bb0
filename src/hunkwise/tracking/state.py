"""Encodes and decodes the hidden state in our summary comment, which the next run reads."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from hunkwise.domain.diff import KEY_LENGTH
from hunkwise.domain.finding import (
    MAX_AREA,
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    MAX_WORDS,
    NO_SUMMARY,
    Area,
    ChangeSummary,
    Risk,
    RiskLevel,
    Walkthrough,
)
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.text import cut
from hunkwise.tracking.markers import (
    COMPRESSED,
    LONGEST_LOGIN,
    LONGEST_TEXT,
    HiddenState,
    Pause,
    as_bytes,
    as_values,
    compress,
    count_markers,
    decompress,
    from_bytes,
    from_values,
    marker,
    marker_pattern,
)

_Parsed = TypeVar("_Parsed")


def truncate_summary(overview: str, walkthrough: Walkthrough | None) -> ChangeSummary:
    """Returns the summary cut to the limits of the state; a second call changes nothing."""
    if walkthrough is None:
        return ChangeSummary(cut(overview, MAX_OVERVIEW))
    areas = tuple(
        Area(cut(area.area, MAX_AREA), cut(area.what, MAX_WORDS), cut(area.why, MAX_WORDS))
        for area in walkthrough.areas[:MAX_AREAS]
    )
    risk = Risk(walkthrough.risk.level, cut(walkthrough.risk.why, MAX_WORDS)) if walkthrough.risk else None
    diagram = walkthrough.diagram if len(walkthrough.diagram) <= MAX_DIAGRAM else ""
    return ChangeSummary(cut(overview, MAX_OVERVIEW), Walkthrough(areas, risk, diagram))


def summary_values(summary: ChangeSummary) -> list[Any]:
    """Returns the summary as a list for JSON.

    It has the overview; then, if there is a walkthrough, areas, the risk's level and reason, and the diagram.
    """
    walkthrough = summary.walkthrough
    if walkthrough is None:
        return [summary.overview]
    areas = [[area.area, area.what, area.why] for area in walkthrough.areas]
    risk = walkthrough.risk
    level, why = (risk.level.value, risk.why) if risk else ("", "")
    return [summary.overview, areas, level, why, walkthrough.diagram]


def summary_from_values(values: object) -> ChangeSummary | None:
    """Returns the summary from a list by `summary_values`; None for anything that it cannot have returned."""
    match values:
        case [str(overview)]:
            summary = ChangeSummary(overview)
        case [str(overview), list(rows), str(level), str(why), str(diagram)]:
            areas = parse_all(rows, _parse_area)
            if areas is None or (level and level not in set(RiskLevel)):
                return None
            risk = Risk(RiskLevel(level), why) if level else None
            summary = ChangeSummary(overview, Walkthrough(areas, risk, diagram))
        case _:
            return None
    return summary if summary == truncate_summary(summary.overview, summary.walkthrough) else None


def _parse_area(row: object) -> Area | None:
    match row:
        case [str(area), str(what), str(why)]:
            return Area(area, what, why)
    return None


def parse_all(values: object, parse: Callable[[Any], _Parsed | None]) -> tuple[_Parsed, ...] | None:
    """Returns the parsed values of a list; None if it is not a list, or one of its values is not valid."""
    parsed = [parse(value) for value in values] if isinstance(values, list) else [None]
    valid = tuple(value for value in parsed if value is not None)
    return valid if len(valid) == len(parsed) else None


SUMMARY_MARKER = marker("summary")
"""The first line of the summary comment."""
_LINE = marker_pattern("state", f"({COMPRESSED})")
_LARGEST = 1024 * 1024
"""Maximum size of the state's JSON in bytes; ours is far smaller."""
MOST_SHAS = 20
"""Reviewed heads that the state has room for, the newest ones."""
_KEY = re.compile(f"[A-Za-z0-9+/]{{{KEY_LENGTH}}}")
_KEYS = re.compile(f"(?:[A-Za-z0-9+/]{{{KEY_LENGTH}}})*")
_MOST_COUNT = 10**9
_LONGEST_TEXT = 1_000
_FIELDS = {"r", "n", "h", "s", "b", "w", "d", "k", "f", "c"}
_SUMMARY, _PAUSED = "t", "p"
"""Optional fields with the summary of the change, and with the pause."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def empty_state(repository: str, number: int) -> HiddenState:
    """Returns the state of a pull request of which nothing was reviewed."""
    return HiddenState(repository, number, head_sha="", reviewed_shas=(), base="", rewrites=0, settings="")


def encode(state: HiddenState, room: int) -> str:
    """Returns the last line of the summary comment, of at most `room` characters; empty if none fits.

    If the state does not fit, as little as possible is omitted, in this order: the summary of the change except its
    overview; the overview; hunks, which the next run reviews again; the least severe findings, which their own
    comments still have.
    """
    summaries = (state.summary, ChangeSummary(state.summary.overview), NO_SUMMARY)
    keys = sorted(key for key in state.hunks if _KEY.fullmatch(key))
    records = [(-one.severity, values) for one in state.findings if (values := as_values(one)) is not None]
    by_severity = sorted(range(len(records)), key=lambda index: records[index][0])
    most = len(summaries) - 1 + len(keys) + len(records)

    def without(omitted: int) -> str:
        """Returns the line without this many of the parts."""
        left = most - omitted
        kept = sorted(by_severity[:left])
        return _encode_line(
            state,
            keys[: max(0, left - len(records))],
            [records[index][1] for index in kept],
            summaries[min(omitted, len(summaries) - 1)],
        )

    line = without(0)
    if len(line) > room:
        line = without(bisect_left(range(most), True, key=lambda omitted: len(without(omitted)) <= room))
    return line if len(line) <= room else ""


def decode(comment: Comment, *, repository: str, number: int) -> HiddenState | None:
    """Returns the state of a summary comment of this pull request; None if it is not valid."""
    body = comment.body.replace("\r\n", "\n").rstrip()
    if comment.edited or len(body) > LONGEST_TEXT or not _is_summary(body):
        return None
    line = _LINE.fullmatch(body.rpartition("\n")[2]) if count_markers("state", body) == 1 else None
    content = decompress(line[1], _LARGEST) if line else None
    state = _parse_state(from_bytes(content)) if content is not None else None
    if state is None or state.number != number or state.repository.casefold() != repository.casefold():
        return None
    return state


def latest_state(comments: Iterable[Comment], *, repository: str, number: int) -> HiddenState | None:
    """Returns the state of the newest summary comment that has a valid one; None if there is none."""
    for comment in reversed(summary_comments(comments)):
        state = decode(comment, repository=repository, number=number)
        if state is not None:
            return state
    return None


def summary_comments(comments: Iterable[Comment]) -> tuple[Comment, ...]:
    """Returns the comments that are summaries, in their order, also those that somebody else edited."""
    return tuple(comment for comment in comments if _is_summary(comment.body))


def _is_summary(body: str) -> bool:
    return body.partition("\n")[0].rstrip("\r") == SUMMARY_MARKER


def _encode_line(
    state: HiddenState, keys: Sequence[str], records: Sequence[Any], summary: ChangeSummary
) -> str:
    values: dict[str, object] = {
        "r": state.repository,
        "n": state.number,
        "h": state.head_sha,
        "s": state.reviewed_shas[-MOST_SHAS:],
        "b": state.base,
        "w": state.rewrites,
        "d": state.settings,
        "k": "".join(keys),
        "f": records,
        "c": state.conclusion,
        **({_SUMMARY: summary_values(summary)} if summary else {}),
        **({_PAUSED: [cut(state.paused.by, LONGEST_LOGIN), state.paused.at]} if state.paused else {}),
    }
    return marker("state", compress(as_bytes(values)))


def _parse_state(values: object) -> HiddenState | None:
    """Returns the state from the values of `_encode_line`; None if they are not valid."""
    if not isinstance(values, dict) or values.keys() - {_SUMMARY, _PAUSED} != _FIELDS:
        return None
    texts = [values[name] for name in "rhbdc"]
    counts = [values[name] for name in "nw"]
    if not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts):
        return None
    if not all(type(count) is int and 0 <= count <= _MOST_COUNT for count in counts):
        return None
    shas, findings = parse_all(values["s"], _parse_sha), parse_all(values["f"], from_values)
    hunks = _parse_keys(values["k"])
    summary = summary_from_values(values[_SUMMARY]) if _SUMMARY in values else NO_SUMMARY
    if shas is None or len(shas) > MOST_SHAS or hunks is None or findings is None or summary is None:
        return None
    paused = _parse_pause(values[_PAUSED]) if _PAUSED in values else None
    if paused is None and _PAUSED in values:
        return None
    return HiddenState(
        repository=values["r"],
        number=values["n"],
        head_sha=values["h"],
        reviewed_shas=shas,
        base=values["b"],
        rewrites=values["w"],
        settings=values["d"],
        hunks=hunks,
        findings=findings,
        conclusion=values["c"],
        summary=summary,
        paused=paused,
    )


def _parse_pause(value: object) -> Pause | None:
    match value:
        case [str(by), str(at)] if len(by) <= LONGEST_LOGIN and _TIME.fullmatch(at):
            return Pause(by, at)
    return None


def _parse_sha(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None


def _parse_keys(joined: object) -> frozenset[str] | None:
    if not isinstance(joined, str) or not _KEYS.fullmatch(joined):
        return None
    return frozenset(joined[start : start + KEY_LENGTH] for start in range(0, len(joined), KEY_LENGTH))
