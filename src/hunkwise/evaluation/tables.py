"""The report of an evaluation for people: a table of plain text, or of Markdown. Foreign text is made harmless."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hunkwise.evaluation.comparison import Comparison
from hunkwise.evaluation.evaluation import Evaluation
from hunkwise.evaluation.rows import COMPARISON_HEAD, DEFINITIONS, HEAD, Told, compared, details, facts, table
from hunkwise.publish.characters import cut, one_line
from hunkwise.publish.sanitize import line as harmless

_WIDTH = 300
"""Characters of foreign text in a line."""


def as_text(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """For a terminal."""

    def told(one: Told) -> str:
        place = f"{one.case}: " if one.case else ""
        return f"  {place}{one.what}: {cut(one_line(one.text), _WIDTH)}"

    lines = [*_aligned(HEAD, table(evaluation)), "", *facts(evaluation)]
    lines += _under("", map(told, details(evaluation)))
    if comparison is not None:
        measures, compared_facts, changes = compared(comparison)
        lines += ["", *_aligned(COMPARISON_HEAD, measures), "", *compared_facts, *map(told, changes)]
    return "\n".join((*lines, "", DEFINITIONS))


def as_markdown(evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """For a job summary or a comment."""

    def told(one: Told) -> str:
        place = f"**{_cell(one.case)}**, " if one.case else ""
        return f"- {place}{one.what}: {harmless(one.text, _WIDTH)}"

    lines = [
        *_piped(HEAD, table(evaluation), _cell),
        "",
        *_listed(map(_cell, facts(evaluation))),
    ]
    lines += _under("", map(told, details(evaluation)))
    if comparison is not None:
        measures, compared_facts, changes = compared(comparison)
        lines += ["", *_piped(COMPARISON_HEAD, measures, _cell), ""]
        lines += [*_listed(map(_cell, compared_facts)), *map(told, changes)]
    return "\n".join((*lines, "", f"_{DEFINITIONS}_"))


def _aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        told = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(told).rstrip()

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
    found = list(lines)
    return [head, *found] if found else []
