"""The table of several runs, and their HTML page."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest

from hunkwise.domain.review import Usage
from hunkwise.evaluation.comparison import compare, comparison_json
from hunkwise.evaluation.report import as_json, runs_json
from hunkwise.evaluation.results import (
    CaseFailure,
    CaseResult,
    Evaluation,
    ScoredAnswer,
    ScoredGolden,
    ScoredStatement,
)
from hunkwise.evaluation.run_report import RUN_HEAD, render_page, run_rows, runs_text
from hunkwise.evaluation.table import MARKDOWN, TEXT, percent
from tests.evaluation.test_scoring import FOUND, marked_finding, marked_golden, marks


def run(name: str, *results: CaseResult, calls: int = 1, seconds: float = 1.0) -> Evaluation:
    costly = tuple(replace(one, usage=Usage(calls, 100 * calls, 10)) for one in results)
    return Evaluation(costly, name, seconds=seconds, name=name)


GOOD = run("good", marks(*FOUND), calls=3, seconds=2.0)
CHEAP = run("cheap", marks(FOUND[0], (marked_finding(0), marked_finding())))
BROKEN = run("broken", marks(*FOUND), marks(name="two", failure=CaseFailure("timeout", "Late.")), seconds=0.1)
NOTHING = run("nothing", marks(failure=CaseFailure("timeout", "Late.")))


def test_best_values_of_complete_runs_are_marked() -> None:
    rows = run_rows([GOOD, CHEAP, BROKEN, NOTHING])
    best = {row[0].text: [RUN_HEAD[index] for index, cell in enumerate(row) if cell.best] for row in rows}
    assert best == {
        "good": ["Precision", "F1", "Adj. precision", "Adj. F1", "Noise per case"],
        "cheap": ["Calls", "Tokens", "Seconds"],
        "broken": [],
        "nothing": [],
    }
    assert [row[1].text for row in rows] == ["1/1", "1/1", "1/2", "0/1"]
    assert {cell.text for cell in rows[3][2:]} == {"–"}


def test_each_run_is_reported_after_the_table() -> None:
    runs = [(GOOD, None), (CHEAP, compare(GOOD, CHEAP))]
    text = runs_text(runs, TEXT)
    head, good, cheap = text.split("\n\n")[0].split("\n")
    assert head.split("  ")[0] == "Run"
    assert good.split()[:6] == ["good", "1/1", "*", "100", "%", "100"]
    assert cheap.split()[0] == "cheap"
    assert "\n\ngood\n----\nCase " in text
    assert "\n\ncheap\n-----\nCase " in text
    assert text.count("Regression: the strict F1") == 1
    markdown = runs_text(runs, MARKDOWN)
    assert markdown.startswith("| Run | Cases | Precision |")
    assert "\n### cheap\n" in markdown


HOSTILE = (
    "<script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>"
    "</code></details></style><a href='javascript:alert(1)'>x</a>{{ 7 * 7 }}\"'&amp;"
)


class Page(HTMLParser):
    """Collects the tags, attributes and texts of a page; fails where tags do not close in order."""

    VOID = ("meta", "line")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def hostile_run() -> Evaluation:
    missed = ScoredGolden(f"{HOSTILE}.py", 7, 9, "LEFT", "high", f"missed {HOSTILE}")
    finding = replace(marked_finding(), title=HOSTILE, body=HOSTILE, path=HOSTILE, prompt=HOSTILE)
    case = marks(
        (marked_golden(0), missed),
        (
            replace(marked_finding(0), confidence=0.9),
            replace(finding, confidence=0.3),
            replace(finding, accept=0, confidence=0.5),
        ),
        description=HOSTILE,
        notes=(HOSTILE,),
        accept=(replace(marked_golden(2), text=f"also {HOSTILE}"),),
    )
    answer = ScoredAnswer(HOSTILE, HOSTILE, "", (ScoredStatement(HOSTILE, True, False, "words"),))
    failed = marks(name="three", failure=CaseFailure("timeout", HOSTILE))
    results = (case, marks(name="two", answer=answer), failed)
    return Evaluation(results, HOSTILE, HOSTILE, name=HOSTILE, demo=True)


def page_of(*runs: Evaluation, comparison: dict[str, Any] | None = None) -> str:
    return render_page([as_json(one, comparison) for one in runs], run_rows(runs))


@pytest.fixture(scope="module")
def hostile() -> str:
    whole = hostile_run()
    before = replace(whole, results=tuple(replace(one, goldens=()) for one in whole.results))
    return page_of(whole, comparison=comparison_json(compare(before, whole)))


def test_page_has_no_reference_to_another_file_and_no_script(hostile: str) -> None:
    page = Page(hostile)
    assert page.tags.isdisjoint({"script", "a", "img", "link", "iframe", "object", "form", "base", "use"})
    assert page.attributes.isdisjoint({"src", "href", "xlink:href", "style", "onerror", "action", "srcset"})
    style = hostile.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import|https?:", style)
    assert "default-src 'none'" in hostile
    assert "prefers-color-scheme: dark" in style


def test_untrusted_text_is_shown_as_text(hostile: str) -> None:
    whole = "".join(Page(hostile).texts)
    assert whole.count(HOSTILE) >= 15
    assert escape("<script>alert(1)</script>") in hostile
    for kind in ("matched", "noise", "accepted", "missed", "failed"):
        assert f'">{kind}</span>' in hostile
    assert f"{HOSTILE}.py:7-9 (LEFT)" in whole


def test_figures_of_the_page_are_those_of_the_json() -> None:
    runs = (GOOD.at(0), hostile_run(), NOTHING)
    page = Page(page_of(*runs))
    measures = [row for row in page.rows if row[0] in ("Strict", "Adjusted")]
    contents = runs_json([as_json(one) for one in runs])
    keys = {
        "Strict": ("precision", "recall", "f1"),
        "Adjusted": ("adjusted_precision", "recall", "adjusted_f1"),
    }
    assert measures == [
        [kind, *(percent(one["totals"][key]) for key in names)]
        for one in contents["runs"]
        for kind, names in keys.items()
    ]
    points = [row for row in page.rows if row[0] in ("0", "0.35", "0.55", "0.95")]
    shares = ("precision", "recall", "f1", "adjusted_precision", "adjusted_f1")
    assert points == [
        [f"{point['min_confidence']:g}", str(point["findings"]), *(percent(point[key]) for key in shares)]
        for point in contents["runs"][1]["curve"]["points"]
    ]
    assert [row[0] for row in page.rows if len(row) == len(RUN_HEAD)] == ["Run", "good", HOSTILE, "nothing"]
