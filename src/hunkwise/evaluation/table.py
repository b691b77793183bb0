"""Formats an evaluation as tables, as text and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.review import Usage
from hunkwise.domain.text import count, cut, one_line
from hunkwise.evaluation.comparison import Comparison
from hunkwise.evaluation.curve import CurvePoint, around_best, best_point, curve
from hunkwise.evaluation.results import CaseResult, Evaluation, ScoredFinding, ScoredGolden, ScoredStatement
from hunkwise.evaluation.scoring import Counts
from hunkwise.publish.sanitize import line as harmless

Row = tuple[str, ...]
HEAD: Final = (
    "Case", "Found", "Noise", "Accepted", "Precision", "Adj. precision", "Recall", "F1", "Adj. F1", "Severity",
    "Calls", "Tokens in", "Tokens out", "Credits", "Seconds",
)  # fmt: skip
_ADJUSTED: Final = {"Accepted", "Adj. precision", "Adj. F1"}
"""The columns for cases with accepted findings."""
_NONE: Final = "–"
_MOST_LISTED: Final = 100
DEFINITIONS: Final = "docs/evaluating.md defines the measures."


def table(evaluation: Evaluation) -> list[Row]:
    """Returns the head, a row for each case, and the total."""
    name = f"total of {count(len(evaluation.evaluated), 'case')}"
    seconds = sum(result.seconds for result in evaluation.results)
    rows = [
        HEAD,
        *map(_case_row, evaluation.results),
        _row(name, evaluation.counts, evaluation.usage, seconds),
    ]
    if any(result.accept for result in evaluation.results):
        return rows
    shown = [index for index, name in enumerate(HEAD) if name not in _ADJUSTED]
    return [tuple(row[index] for index in shown) for row in rows]


def _case_row(result: CaseResult) -> Row:
    if result.failure is None:
        return _row(result.name, result.counts, result.usage, result.seconds)
    return _bare_row(result.name, "failed", result.usage, result.seconds)


def _bare_row(name: str, found: str, usage: Usage, seconds: float) -> Row:
    """Returns a row with costs only, for what was not measured."""
    cost = _cost(usage, seconds)
    return (name, found, *[_NONE] * (len(HEAD) - 2 - len(cost)), *cost)


def _row(name: str, counts: Counts, usage: Usage, seconds: float) -> Row:
    if not counts.cases:
        return _bare_row(name, _NONE, usage, seconds)
    rated = f"{counts.agreed}/{counts.rated}" if counts.rated else _NONE
    return (
        name,
        f"{counts.matched}/{counts.matched + counts.missed}",
        str(counts.noise),
        str(counts.accepted),
        percent(counts.precision),
        percent(counts.adjusted_precision),
        percent(counts.recall),
        percent(counts.f1),
        percent(counts.adjusted_f1),
        rated,
        *_cost(usage, seconds),
    )


def _cost(usage: Usage, seconds: float) -> Row:
    return (
        f"{usage.model_calls:,}",
        f"{usage.input_tokens:,}",
        f"{usage.output_tokens:,}",
        f"{usage.credits:,.2f}",
        f"{seconds:.1f}",
    )


def percent(share: float | None) -> str:
    """Returns the share in percent with one decimal; never 100 or 0 unless it is exactly that."""
    if share is None:
        return _NONE
    text = f"{100 * share:.1f}"
    if text == "100.0" and share < 1:
        text = "99.9"
    if text == "0.0" and share > 0:
        text = "0.1"
    return f"{text.removesuffix('.0')} %"


def facts(evaluation: Evaluation) -> list[str]:
    """Returns sentences about the run for which the table has no column."""
    counts = evaluation.counts
    sentences = []
    if counts.noise_per_case is not None:
        sentences.append(f"Noise per pull request: {counts.noise_per_case:.2f} findings.")
    if counts.clean:
        share = percent(counts.silent_share)
        sentences.append(f"Silent clean cases: {counts.silent} of {counts.clean} ({share}).")
    if counts.rated:
        share = percent(counts.severity_agreement)
        sentences.append(f"Severity: {counts.agreed} of {counts.rated} agree ({share}).")
    if evaluation.min_confidence:
        findings = [finding for result in evaluation.results for finding in result.findings]
        below = sum(not finding.counts for finding in findings)
        sentences.append(
            f"min-confidence {evaluation.min_confidence:g}: {below} of {count(len(findings), 'finding')} "
            "do not count."
        )
    judge = evaluation.judge_usage
    if evaluation.judge is not None:
        tokens = f"{judge.input_tokens:,} tokens in, {judge.output_tokens:,} out"
        sentences.append(
            f"The judge ({evaluation.judge}) took {count(judge.model_calls, 'model call')}, {tokens}; not in the table."
        )
    if evaluation.failed:
        verb = "counts" if len(evaluation.failed) == 1 else "count"
        sentences.append(f"{count(len(evaluation.failed), 'case')} failed and {verb} in no measure.")
    if evaluation.demo:
        sentences.append("This is the demo: fixed rules, not a model.")
    return sentences


CURVE_HEAD: Final = (
    "min-confidence", "Findings", "Precision", "Recall", "F1", "Adj. precision", "Adj. F1",
)  # fmt: skip
_MOST_POINTS: Final = 6


def curve_table(evaluation: Evaluation) -> list[Row]:
    """Returns the head and a row for each of the points around the best one; empty where there is one point."""
    points = curve(evaluation)
    best = best_point(points)
    if len(points) < 2:
        return []
    return [CURVE_HEAD, *(_point_row(point, point == best) for point in around_best(points, _MOST_POINTS))]


def _point_row(point: CurvePoint, best: bool) -> Row:
    counts = point.counts
    shares = (counts.precision, counts.recall, counts.f1, counts.adjusted_precision, counts.adjusted_f1)
    name = f"{point.min_confidence:g}{' (best)' if best else ''}"
    return (name, str(counts.findings), *map(percent, shares))


def _curve_facts(evaluation: Evaluation) -> Iterator[str]:
    best = best_point(curve(evaluation))
    if best is not None:
        share = percent(best.counts.adjusted_f1)
        yield f"The adjusted F1 is highest at min-confidence {best.min_confidence:g}: {share}."


@dataclass(frozen=True, slots=True)
class TableNote:
    """A note on one case, with untrusted text."""

    case: str
    what: str
    text: str


def details(evaluation: Evaluation) -> list[TableNote]:
    """Returns misses, noise, failures and notes by case; at most 100, and a note with the number of the others."""
    notes = [note for result in evaluation.results for note in _details(result)]
    more = len(notes) - _MOST_LISTED
    if more <= 0:
        return notes
    return [*notes[:_MOST_LISTED], TableNote("", "and", f"{more} more: they are in the JSON report.")]


def _details(result: CaseResult) -> Iterator[TableNote]:
    if result.failure is not None:
        yield TableNote(result.name, "failed", f"{result.failure.message} ({result.failure.kind})")
        return
    for expectation in result.expectations:
        if not expectation.met:
            forbidden = isinstance(expectation, ScoredStatement) and not expectation.required
            what = "forbidden" if forbidden else "missed"
            yield TableNote(result.name, what, expectation_text(expectation))
    for finding in result.findings:
        if finding.counts and finding.golden is None:
            what = "noise" if finding.accept is None else "accepted"
            yield TableNote(result.name, what, _finding_text(finding))
    for note in result.notes:
        yield TableNote(result.name, "note", note)


def expectation_text(expectation: ScoredGolden | ScoredStatement) -> str:
    place = f"{expectation.path}:{expectation.line} " if isinstance(expectation, ScoredGolden) else ""
    return f"{place}{expectation.text}"


def _finding_text(finding: ScoredFinding) -> str:
    place = f":{finding.line}" if finding.line else ""
    return f"{finding.path}{place} {finding.severity}: {finding.title}"


def compared(comparison: Comparison) -> tuple[list[Row], list[str], list[TableNote]]:
    """Returns the head and the rows (measure, before, now, change), the sentences, and the new misses and finds."""
    rows = [COMPARISON_HEAD, *_measure_rows(comparison.before, comparison.now)]
    changes = [
        TableNote(pair.now.name, what, expectation_text(expectation))
        for pair in comparison.pairs
        for what, expectations in (("new miss", pair.new_misses), ("new find", pair.new_finds))
        for expectation in expectations
    ]
    return rows, list(_comparison_facts(comparison)), changes


COMPARISON_HEAD: Final = ("Measure", "Before", "Now", "Change")


def _measure_rows(before: Counts, now: Counts) -> Iterator[Row]:
    shares = {
        "Precision": (before.precision, now.precision),
        "Recall": (before.recall, now.recall),
        "F1": (before.f1, now.f1),
        "Adjusted precision": (before.adjusted_precision, now.adjusted_precision),
        "Adjusted F1": (before.adjusted_f1, now.adjusted_f1),
        "Silent clean cases": (before.silent_share, now.silent_share),
        "Severity": (before.severity_agreement, now.severity_agreement),
    }
    for name, (old, new) in shares.items():
        change = _NONE if old is None or new is None else f"{100 * (new - old):+.1f} points"
        yield name, percent(old), percent(new), change
    for name, was, is_now in (
        ("Found", before.matched, now.matched),
        ("Missed", before.missed, now.missed),
        ("Noise", before.noise, now.noise),
        ("Accepted", before.accepted, now.accepted),
    ):
        yield name, str(was), str(is_now), f"{is_now - was:+d}"


def _comparison_facts(comparison: Comparison) -> Iterator[str]:
    yield f"Compared with the earlier run over {count(len(comparison.pairs), 'case')}."
    lists = {
        "New here": comparison.added,
        "No longer here": comparison.removed,
        "Changed since, so not compared": comparison.changed,
        "Failed then or now, so not compared": comparison.unmeasured,
    }
    yield from (f"{what}: {', '.join(names)}." for what, names in lists.items() if names)
    yield from comparison.notes
    drop = 100 * comparison.drop
    if comparison.regressed:
        allowed = 100 * comparison.max_regression
        yield f"Regression: the strict F1 is {drop:.1f} points lower; {allowed:.1f} are allowed (--max-regression)."


_WIDTH = 300
"""Maximum number of characters of untrusted text in a line."""


@dataclass(frozen=True)
class ReportStyle:
    """How the parts of a report are written in one format."""

    table: Callable[[Sequence[Row]], list[str]]
    sentence: Callable[[str], str]
    """Returns the line of a sentence about the run."""
    note: Callable[[TableNote], str]
    heading: Callable[[str], str]
    """Returns the heading of one of several runs."""


def sections(evaluation: Evaluation, comparison: Comparison | None, style: ReportStyle) -> list[str]:
    """Returns the lines of one run's report."""
    lines = [*style.table(table(evaluation)), "", *map(style.sentence, facts(evaluation))]
    if rows := curve_table(evaluation):
        lines += ["", *style.table(rows), "", *map(style.sentence, _curve_facts(evaluation))]
    lines += _under("", map(style.note, details(evaluation)))
    if comparison is not None:
        measures, sentences, changes = compared(comparison)
        lines += ["", *style.table(measures), "", *map(style.sentence, sentences), *map(style.note, changes)]
    return lines


def as_text(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """Formats the evaluation for a terminal."""
    return "\n".join((*sections(evaluation, comparison, TEXT), "", DEFINITIONS))


def as_markdown(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """Formats the evaluation in Markdown, for a job summary or a comment."""
    return "\n".join((*sections(evaluation, comparison, MARKDOWN), "", DEFINITIONS))


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Row) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(padded).rstrip()

    return [*map(line, rows)]


def _text_note(note: TableNote) -> str:
    place = f"{note.case}: " if note.case else ""
    return f"  {place}{note.what}: {cut(one_line(note.text), _WIDTH)}"


def _piped(rows: Sequence[Row]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in ((*map(_cell, row),) for row in rows))
    return [head, f"|{'|'.join(('---', *['---:'] * (len(rows[0]) - 1)))}|", *body]


def _markdown_note(note: TableNote) -> str:
    place = f"**{_cell(note.case)}**, " if note.case else ""
    return f"- {place}{note.what}: {harmless(note.text, _WIDTH)}"


def _cell(text: str) -> str:
    return harmless(text, _WIDTH)


def _under(head: str, lines: Iterable[str]) -> list[str]:
    rows = list(lines)
    return [head, *rows] if rows else []


TEXT: Final = ReportStyle(
    _aligned,
    sentence=str,
    note=_text_note,
    heading=lambda name: f"{name}\n{'-' * len(name)}",
)
MARKDOWN: Final = ReportStyle(
    _piped,
    sentence=lambda text: f"- {_cell(text)}",
    note=_markdown_note,
    heading=lambda name: f"### {_cell(name)}\n",
)
