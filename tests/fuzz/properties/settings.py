"""What must hold of configuration and event, whatever bytes they are."""

from __future__ import annotations

from typing import Any

import yaml

from hunkwise.errors import SettingsError
from hunkwise.plan.globs import Globs, compiled
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.config_errors import MAX_FAULTS
from hunkwise.settings.events import CommandTask, NothingToDo, PublishTask, ReviewTask, read_event
from hunkwise.settings.strict_yaml import MAX_DEPTH, read_yaml

PATH = ".github/hunkwise.yml"
_LONGEST_FAULT = 1_000


def configures(raw: bytes) -> None:
    """Any bytes are a configuration whose globs can be matched, or faults in words, each on a line of the file."""
    try:
        config = parse_config(raw, path=PATH)
    except SettingsError as error:
        _are_sayable(error, f"{PATH}:")
        return
    assert Config.model_validate(config.model_dump(by_alias=False), by_name=True) == config
    assert isinstance(compiled(config.ignore).verdict("src/a.py"), bool | None)


def reads_what_yaml_says(raw: bytes) -> None:
    """What is read without a fault is what PyYAML's own loader reads: nothing is merged, aliased or lost."""
    document = read_yaml(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert all(1 <= fault.line <= lines + 1 and fault.text.isprintable() for fault in document.faults)
    if document.faults:
        return
    known = yaml.load(raw.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    assert _agree(document.value, known if known is not None else "")
    assert _depth(document.value) <= MAX_DEPTH + 1


def asks(name: str, payload: bytes, publishing: bool) -> None:
    """Any payload of an event is a task, a reason why there is none, or faults in words."""
    try:
        task = read_event(name, payload, repository="o/r", pull_request=None, publishing=publishing)
    except SettingsError as error:
        _are_sayable(error, "")
        return
    match task:
        case NothingToDo(reason):
            assert reason.isprintable()
        case ReviewTask() | CommandTask():
            assert task.repository == "o/r"
            assert 0 < task.number < 10**12
        case PublishTask():
            assert task.repository == "o/r"
            assert task.head_sha is None or len(task.head_sha) in (40, 64)


def matches_or_not(patterns: tuple[str, ...], path: str) -> None:
    """Any patterns decide on any path, and what a last `!` takes back is not matched."""
    verdict = compiled(patterns).verdict(path)
    assert verdict in (True, False, None)
    taken_back = Globs((*compiled(patterns).globs, *compiled(("!**",)).globs))
    assert taken_back.verdict(path) is False
    assert compiled((*patterns, "**")).verdict(path) is True


def _are_sayable(error: SettingsError, start: str) -> None:
    assert 0 < len(error.faults) <= MAX_FAULTS + 1
    for fault in error.faults:
        assert fault.startswith(start)
        assert fault.isprintable()
        assert len(fault) <= _LONGEST_FAULT


def _agree(read: Any, known: Any) -> bool:
    """Whether the value is the one that the loader, which knows texts alone, has read."""
    if isinstance(read, dict):
        return (
            isinstance(known, dict)
            and len(read) == len(known)
            and all(key in known and _agree(value, known[key]) for key, value in read.items())
        )
    if isinstance(read, tuple):
        return isinstance(known, list) and len(read) == len(known) and all(map(_agree, read, known))
    return isinstance(known, str) and (read == known or not isinstance(read, str))


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return 1 + max(map(_depth, inner), default=-1)
