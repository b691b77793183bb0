"""Tests front matter: the settings, and the exact text of every error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Severity
from hunkwise.domain.text import split_front_matter
from hunkwise.errors import SettingsError
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.prompt_settings import BudgetSettings, FrontMatter
from hunkwise.settings.sources import MAX_CHARACTERS, read_front_matter

PATH = ".github/hunkwise/mine.md.j2"
FULL = """\
---
description: What locks a large table.  # a comment
paths: ["db/**"]
min-severity: medium
max-severity: high
categories: [locks, data-loss]
budget: {max-model-calls: 30, max-tokens: none}
chunk-budget:
  max-credits: 0.5
tools: [repo_read]
---
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_front_matter(text, PATH)
    return [fault.removeprefix(PATH + ":") for fault in caught.value.faults]


def test_all_keys_can_be_set() -> None:
    front, body = read_front_matter(FULL + "Review {{ 1 }}.", PATH)
    assert front == FrontMatter(
        description="What locks a large table.",
        paths=("db/**",),
        min_severity=Severity.MEDIUM,
        max_severity=Severity.HIGH,
        categories=("locks", "data-loss"),
        budget=BudgetSettings(max_model_calls=30),
        chunk_budget=BudgetSettings(max_credits=0.5),
        tools=("repo_read",),
    )
    assert Renderer({"mine": body}).render("mine", {}) == "Review 1.\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no front matter",
        "\n---\ndescription: x\n---\n",
        "----\nx\n----\n",
        "--- x\n---\n",
        " ---\nx\n---\n",
        "{# --- #}\n---\n",
    ],
)
def test_template_without_front_matter_is_unchanged(text: str) -> None:
    assert read_front_matter(text, PATH) == (FrontMatter(), text)
    assert read_front_matter("\ufeff" + text, PATH) == (FrontMatter(), text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_and_byte_order_marks_are_accepted(end: str, mark: str) -> None:
    text = mark + "---\ndescription: said\n--- \t\none\ntwo {{ nothing }}\n".replace("\n", end)
    front, body = read_front_matter(text, PATH)
    assert front == FrontMatter(description="said")
    with pytest.raises(SettingsError, match=r"a\.j2:5: 'nothing' is undefined"):
        Renderer({"mine": body}, paths={"mine": "a.j2"}).render("mine", {})


@pytest.mark.parametrize(
    "text", ["---\n---\nx", "---\n# a comment\n---\nx", "---\n\n---\nx", "---\n{}\n---\nx"]
)
def test_front_matter_may_be_empty(text: str) -> None:
    front, body = read_front_matter(text, PATH)
    assert front == FrontMatter()
    assert Renderer({"mine": body}).render("mine", {}) == "x\n"


def test_template_may_be_only_front_matter_or_have_more_dashes() -> None:
    assert read_front_matter("---\ntools: []\n---", PATH)[0] == FrontMatter(tools=())
    body = read_front_matter("---\n---\nabove\n---\n- below", PATH)[1]
    assert Renderer({"mine": body}).render("mine", {}) == "above\n---\n- below\n"


NOT_MAPPING = '2: the front matter must be keys and values, such as "description: what it looks for"'
WRONG = [
    ("max_severity: low", '2: unknown key "max_severity"; did you mean "max-severity"?'),
    ("name: mine", '2: unknown key "name"; remove it'),
    ("config: x", '2: unknown key "config"; remove it'),
    ("description:", '2: "description" has no value; write text of up to 300 characters, or remove the line'),
    ("max-severity: none", '2: "max-severity" must be low, medium, high or critical, not "none"'),
    (
        "min-severity: high\nmax-severity: medium",
        '2: "min-severity" (high) is above "max-severity" (medium); swap them',
    ),
    (
        "tools:\n- repo_read\n- repo-serch",
        '4: "tools" must be a list of repo_read, repo_search and repo_list, and holds "repo-serch"; did you mean'
        ' "repo_search"?',
    ),
    ("budget:\n  max-model-calls: 0", '3: "max-model-calls" must be a whole number from 1 to 10000, not 0'),
    ("tools: []\n\ntools: []", '4: "tools" is on line 2 already; keep one of them'),
    ("tools: &all [repo_read]", "2: anchors (&name) are not allowed; remove it"),
    ("- tools", NOT_MAPPING),
    ("tools", NOT_MAPPING),
    ("tools: [", "3: not valid YAML: expected the node content, but found '<stream end>'"),
    ("description: \x07", '2: the file holds the character "\\x07"; remove it'),
    ("description: \ud800", "2: the file is not UTF-8; save it as UTF-8"),
]


@pytest.mark.parametrize(("matter", "fault"), WRONG)
def test_invalid_key_has_one_error_with_line_of_the_file(matter: str, fault: str) -> None:
    assert faults_of(f"---\n{matter}\n---\nReview.") == [fault]


def test_all_faults_are_reported_together() -> None:
    faults = faults_of("---\ntool: []\nmin-severity: low\nbudget:\n  max-tokens: x\n---\n")
    assert faults == [
        '2: unknown key "tool"; did you mean "tools"?',
        '5: "max-tokens" must be a whole number from 1 to 1000000000, or none, not "x"',
    ]


@pytest.mark.parametrize("text", ["---\ndescription: x\n", "---", "---\nx\n --- \n", "---\n" + "x\n" * 9_999])
def test_unclosed_front_matter_is_a_fault(text: str) -> None:
    assert faults_of(text) == [
        '1: the front matter is not closed; write a line "---" below it, or remove this one'
    ]


def test_size_of_front_matter_is_limited() -> None:
    assert faults_of("---\n" + "#" * MAX_CHARACTERS + "\n---\n") == [
        "1: the front matter has 8,193 characters; keep it within 8,192"
    ]


@given(st.lists(st.sampled_from(["---", "--- ", "x: 1", "tools: []", "{{ a }}", "#}", "{#", "\r", "\ufeff"])))
def test_any_lines_are_front_matter_and_template_or_faults(lines: list[str]) -> None:
    text = "\n".join(lines)
    parts = split_front_matter(text)
    if parts is not None and parts.closed:
        above = text[: len(text) - len(parts.body)]
        assert parts.template == "{#" + "\n" * above.count("\n") + "#}" + parts.body
    faults: tuple[str, ...] = ()
    try:
        _, body = read_front_matter(text, PATH)
        assert text.endswith(body.rpartition("#}")[2] if parts else body)
    except SettingsError as error:
        faults = error.faults
    assert all(fault.startswith(f"{PATH}:") for fault in faults)
