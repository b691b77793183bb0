"""The demo's summary: what the prompt lists, counted."""

from __future__ import annotations

from hunkwise.demo.server import summary_of
from hunkwise.flows.summary import read_summary
from hunkwise.prompts.renderer import Renderer


def listing(*rows: str) -> str:
    return "\n".join(["# The changed files", "", *(f"- {row}" for row in rows), ""])


def test_files_and_lines_are_counted_by_folder() -> None:
    told = summary_of(
        listing(
            '"api/a.py" (added, +40 -0)',
            '"api/b.py" (modified, +1 -2)',
            '"README.md" (modified, +1,000 -0)',
            "x",
        )
    )
    assert told["overview"] == (
        "Rules, not a model, counted: 2 files, 41 lines added, 2 removed. What the change means they cannot tell."
    )
    assert told["areas"] == []
    assert told["risk"]["level"] == "low"


def test_the_largest_folders_are_areas() -> None:
    rows = [f'"f{number}/a.py" (added, +{number} -1)' for number in range(1, 7)]
    told = summary_of(listing(*rows, '"top.py" (removed, +0 -900)', "and 1200 more"))
    assert [one["area"] for one in told["areas"]] == ["the top folder", "f6/", "f5/", "f4/"]
    assert told["areas"][1]["what"] == "1 file, 6 lines added, 1 removed."
    assert "1,207 files" in told["overview"]
    assert told["risk"]["level"] == "medium"


def test_nothing_listed_is_nothing_counted_and_strange_rows_do_no_harm() -> None:
    assert "0 files" in summary_of("")["overview"]
    odd = summary_of(listing('"\\x" (added, +1 -0)', '"/a" (added, +9999 -0)'))
    assert [one["area"] for one in odd["areas"]] == []
    assert odd["risk"]["level"] == "high"


def test_what_the_rules_say_is_what_the_tool_takes() -> None:
    names = {"number": 1, "title": "T", "body": "", "base": "main", "draft": False, "linked_issues": []}
    files = [
        {"path": f"{folder}/x.py", "status": "modified", "additions": 3, "deletions": 1} for folder in "ab"
    ]
    prompt = Renderer({}).render(
        "summary",
        {
            "pull_request": names, "repository": "o/r", "files": files, "style": "short", "chunk_summaries": [],
            "findings": [], "unreviewed": [], "earlier": "",
        },
    )  # fmt: skip
    told = read_summary(summary_of(prompt), "short")
    assert (told.faults, told.done) == ((), True)
    assert [one.area for one in told.walkthrough.areas] == ["a/", "b/"]
    assert "2 files, 6 lines added, 2 removed" in told.overview
