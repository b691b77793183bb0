"""Compares docs/events.md with the code: the table of events, and the example of filters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditTask
from hunkwise.settings.automatic_settings import AutomaticSettings, LabelSettings
from hunkwise.settings.config import parse_config
from hunkwise.settings.events import CommandTask, MergeQueueTask, NothingToDo, ReviewTask, read_event
from tests.pages import code_blocks, code_spans, page, table
from tests.settings.test_github_context import ACTIONS, HEAD, REPOSITORY, example, examples, new_comment

PAGE = page("docs/events.md")
ROWS = table(PAGE, "Event")
OUTCOMES = {
    "Nothing:": NothingToDo,
    "Reviews": ReviewTask,
    "Carries": CommandTask,
    "Repeats": MergeQueueTask,
    "Audits": AuditTask,
    "Fails": SettingsError,
}
"""What each first word in the table's last column stands for."""


def result_of(name: str, action: str) -> type:
    payload: Any = {"repository": {"full_name": REPOSITORY}}
    if name.startswith("pull_request"):
        payload = example("opened")
    if name.endswith("_comment"):
        payload = new_comment(name)
    if name == "merge_group":
        (payload, *_) = examples(name)
        payload |= {"repository": {"full_name": REPOSITORY}}
    raw = json.dumps(payload | {"action": action}).encode()
    number = 2 if name == "workflow_dispatch" else None
    try:
        return type(read_event(name, raw, repository=REPOSITORY, pull_request=number, sha=HEAD))
    except SettingsError as error:
        return type(error)


def actions_of(row: list[str], name: str) -> list[str]:
    """Returns the activity types of a row; all that no other row of the event names for "all others"."""
    if row[1] != "all others":
        return code_spans(row[1]) or [""]
    named = {action for other in ROWS if name in code_spans(other[0]) for action in code_spans(other[1])}
    return [action for action in ACTIONS if action not in named]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_each_event_does_what_the_table_says(row: list[str]) -> None:
    expected = OUTCOMES[row[2].split()[0]]
    for name in code_spans(row[0]):
        actions = actions_of(row, name)
        assert {action: result_of(name, action) for action in actions} == dict.fromkeys(actions, expected)


def test_the_example_has_all_keys() -> None:
    settings = parse_config(code_blocks(PAGE, "yaml")[0].encode(), path="x").automatic
    assert settings.model_fields_set == AutomaticSettings.model_fields.keys()
    assert settings.labels.model_fields_set == LabelSettings.model_fields.keys()
    assert settings.drafts is AutomaticSettings().drafts
