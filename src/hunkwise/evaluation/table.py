"""Formats an evaluation as tables, as text and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.review import Usage
from hunkwise.domain.text import count, cut, one_line
from hunkwise.evaluation.report import Comparison
from hunkwise.evaluation.results import CaseResult, Evaluation, ScoredFinding, ScoredGolden, ScoredStatement
from hunkwise.evaluation.scoring import Counts
from hunkwise.publish.sanitize import line as harmless

HEAD: Final = (
    "Case", "Found", "Noise", "Precision", "Recall", "F1", "Severity", "Calls", "Tokens in", "Tokens out",
    "Credits", "Seconds",
)  # fmt: skip
_NONE: Final = "–"
_MOST_LISTED: Final = 100
DEFINITIONS: Final = (
    "Found: of the goldens. Noise: findings that are no golden one. Precision is 100 % where nothing was found, recall "
    "where nothing was to be found, and F1 where both hold: a clean case in which nothing was said counts as perfect. "
    "The total is over all findings and goldens together, not the mean of the cases. Of an answer, the required "
    "statements count as goldens, and the forbidden ones that it states as noise."
)


def table(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Returns a row for each case, and the total."""
    rows = [_case_row(result) for result in evaluation.results]
    name = f"total of {count(len(evaluation.evaluated), 'case')}"
    return [
        *rows,
        _row(name, evaluation.counts, evaluation.usage, sum(result.seconds for result in evaluation.results)),
    ]


def _case_row(result: CaseResult) -> tuple[str, ...]:
    if result.failure is None:
        return _row(result.name, result.counts, result.usage, result.seconds)
    return _bare_row(result.name, "failed", result.usage, result.seconds)


def _bare_row(name: str, found: str, usage: Usage, seconds: float) -> tuple[str, ...]:
    """Returns a row with costs only, for what was not measured."""
    cost = _cost(usage, seconds)
    return (name, found, *[_NONE] * (len(HEAD) - 2 - len(cost)), *cost)


def _row(name: str, counts: Counts, usage: Usage, seconds: float) -> tuple[str, ...]:
    if not counts.cases:
        return _bare_row(name, _NONE, usage, seconds)
    rated = f"{counts.agreed}/{counts.rated}" if counts.rated else _NONE
    return (
        name,
        f"{counts.matched}/{counts.matched + counts.missed}",
        str(counts.noise),
        percent(counts.precision),
        percent(counts.recall),
        percent(counts.f1),
        rated,
        *_cost(usage, seconds),
    )


def _cost(usage: Usage, seconds: float) -> tuple[str, ...]:
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
        if finding.golden is None:
            yield TableNote(result.name, "noise", _finding_text(finding))
    for note in result.notes:
        yield TableNote(result.name, "note", note)


def expectation_text(expectation: ScoredGolden | ScoredStatement) -> str:
    place = f"{expectation.path}:{expectation.line} " if isinstance(expectation, ScoredGolden) else ""
    return f"{place}{expectation.text}"


def _finding_text(finding: ScoredFinding) -> str:
    place = f":{finding.line}" if finding.line else ""
    return f"{finding.path}{place} {finding.severity}: {finding.title}"


def compared(comparison: Comparison) -> tuple[list[tuple[str, ...]], list[str], list[TableNote]]:
    """Returns the rows (measure, before, now, change), the sentences, and the new misses and finds."""
    rows = list(_measure_rows(comparison.before, comparison.now))
    changes = [
        TableNote(pair.now.name, what, expectation_text(expectation))
        for pair in comparison.pairs
        for what, expectations in (("new miss", pair.new_misses), ("new find", pair.new_finds))
        for expectation in expectations
    ]
    return rows, list(_comparison_facts(comparison)), changes


COMPARISON_HEAD: Final = ("Measure", "Before", "Now", "Change")


def _measure_rows(before: Counts, now: Counts) -> Iterator[tuple[str, ...]]:
    shares = {
        "Precision": (before.precision, now.precision),
        "Recall": (before.recall, now.recall),
        "F1": (before.f1, now.f1),
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
        yield f"Regression: F1 is {drop:.1f} points lower; {allowed:.1f} are allowed (--max-regression)."


_WIDTH = 300
"""Maximum number of characters of untrusted text in a line."""


def as_text(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """Formats the evaluation for a terminal."""

    def note_line(note: TableNote) -> str:
        place = f"{note.case}: " if note.case else ""
        return f"  {place}{note.what}: {cut(one_line(note.text), _WIDTH)}"

    lines = [*_aligned(HEAD, table(evaluation)), "", *facts(evaluation)]
    lines += _under("", map(note_line, details(evaluation)))
    if comparison is not None:
        measures, compared_facts, changes = compared(comparison)
        lines += ["", *_aligned(COMPARISON_HEAD, measures), "", *compared_facts, *map(note_line, changes)]
    return "\n".join((*lines, "", DEFINITIONS))


def as_markdown(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """Formats the evaluation in Markdown, for a job summary or a comment."""

    def note_line(note: TableNote) -> str:
        place = f"**{_cell(note.case)}**, " if note.case else ""
        return f"- {place}{note.what}: {harmless(note.text, _WIDTH)}"

    lines = [
        *_piped(HEAD, table(evaluation), _cell),
        "",
        *_listed(map(_cell, facts(evaluation))),
    ]
    lines += _under("", map(note_line, details(evaluation)))
    if comparison is not None:
        measures, compared_facts, changes = compared(comparison)
        lines += ["", *_piped(COMPARISON_HEAD, measures, _cell), ""]
        lines += [*_listed(map(_cell, compared_facts)), *map(note_line, changes)]
    return "\n".join((*lines, "", f"_{DEFINITIONS}_"))


def _aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(padded).rstrip()

    return [row(head), *map(row, body)]


def _piped(head: Sequence[str], body: Iterable[Sequence[str]], cell: Callable[[str], str]) -> list[str]:
    rule = "|".join(("---", *["---:"] * (len(head) - 1)))
    rows_ = (" | ".join(map(cell, row)) for row in body)
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {row} |" for row in rows_)]


def _cell(text: str) -> str:
    return harmless(text, _WIDTH)


def _listed(sentences: Iterable[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def _under(head: str, lines: Iterable[str]) -> list[str]:
    rows = list(lines)
    return [head, *rows] if rows else []
