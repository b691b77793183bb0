"""Tests which pull requests the key `automatic` skips, and the sentence that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.pull_request import PullRequest
from hunkwise.errors import SettingsError
from hunkwise.settings.automatic_settings import AutomaticSettings, LabelSettings
from hunkwise.settings.config import parse_config

PULL = PullRequest(
    "octo/repo", 3, "Widen ids", "", "renovate[bot]", "main", "a" * 40, "ids", "b" * 40, ("Bug",)
)
DRAFT = replace(PULL, draft=True)


def titled(title: str) -> PullRequest:
    return replace(PULL, title=title)


@pytest.mark.parametrize(
    ("settings", "pull_request", "reason"),
    [
        (AutomaticSettings(), PULL, ""),
        (AutomaticSettings(), DRAFT, "it is a draft, and `automatic.drafts` is false."),
        (AutomaticSettings(drafts=True), DRAFT, ""),
        (
            AutomaticSettings(skip_authors=("mona", "Renovate*")),
            PULL,
            '"Renovate*" in `automatic.skip-authors` names its author.',
        ),
        (
            AutomaticSettings(skip_authors=("renovate[bot]",)),
            PULL,
            '"renovate[bot]" in `automatic.skip-authors` names its author.',
        ),
        (AutomaticSettings(skip_authors=("renovate", "renovateb", "?enovate[bot]")), PULL, ""),
        (
            AutomaticSettings(skip_titles=("[skip review]",)),
            titled("Ids [SKIP Review]"),
            '"[skip review]" in `automatic.skip-titles` is in its title.',
        ),
        (
            AutomaticSettings(labels=LabelSettings(skip=("bug",))),
            PULL,
            '"bug" in `automatic.labels.skip` names one of its labels.',
        ),
        (AutomaticSettings(labels=LabelSettings(skip=("bu",))), PULL, ""),
        (AutomaticSettings(labels=LabelSettings(only=("review", "b*"))), PULL, ""),
        (
            AutomaticSettings(labels=LabelSettings(only=("review",))),
            PULL,
            "it has none of the labels in `automatic.labels.only`.",
        ),
        (
            AutomaticSettings(labels=LabelSettings(only=("bug",), skip=("bug",))),
            PULL,
            '"bug" in `automatic.labels.skip` names one of its labels.',
        ),
    ],
)
def test_skipped_pull_request_has_a_sentence_with_the_key(
    settings: AutomaticSettings, pull_request: PullRequest, reason: str
) -> None:
    expected = f"Pull request #3 is not reviewed: {reason}" if reason else ""
    assert settings.reason_to_skip(pull_request) == expected


@pytest.mark.parametrize(
    ("pattern", "title", "skipped"),
    [
        ("WIP", "wip: widen ids", True),
        ("WIP", "Widen ids (WIP)", True),
        ("WIP", "Do not use wiped disks", False),
        ("WIP", "A rewip", False),
        ("WIP*", "Do not use wiped disks", True),
        ("*WIP", "A rewip", True),
        ("do not * merge", "Please do NOT ever merge this", True),
        ("do not * merge", "Merge, and do not wait", False),
        ("a*a", "a", False),
        ("[WIP]", "W", False),
        (".", "Widen ids", False),
        ("🚧", "🚧 Widen ids", True),
        ("*", "", True),
        ("*a" * 90 + "b", "a" * 256, False),  # a pattern that backtracks does not end
    ],
)
def test_words_of_a_title_are_found_whole(pattern: str, title: str, skipped: bool) -> None:
    assert bool(AutomaticSettings(skip_titles=(pattern,)).reason_to_skip(titled(title))) is skipped


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drafts: yes", '"drafts" must be true or false'),
        (
            "skip-authors: renovate",
            '"skip-authors" must be a list of up to 100 patterns of up to 200 characters, such as ["no-*"]',
        ),
        ("skip-titles: ['']", '"skip-titles" must be a list of up to 100 patterns'),
        (f"skip-titles: [{'t' * 201}]", "patterns of up to 200 characters"),
        ("skip-author: [mona]", 'did you mean "skip-authors"'),
        ("labels: [review]", '"labels" must be keys and values, such as "skip: [no-review]"'),
        ("labels: {onyl: [review]}", 'did you mean "only"'),
        (f"skip-titles: {[f't{number}' for number in range(101)]}", "a list of up to 100 patterns"),
    ],
)
def test_wrong_setting_is_an_error_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_config(f"version: 1\nautomatic:\n  {text}\n".encode(), path="x.yml")
    assert fault in str(caught.value)
    assert str(caught.value).startswith("x.yml:3: ")
