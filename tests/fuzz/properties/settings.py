"""Properties of configurations, events and globs with any input."""

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


def check_config(raw: bytes) -> None:
    """Checks that any bytes are a configuration with usable globs, or faults with lines of the file."""
    try:
        config = parse_config(raw, path=PATH)
    except SettingsError as error:
        _check_faults(error, f"{PATH}:")
        return
    assert Config.model_validate(config.model_dump(by_alias=False), by_name=True) == config
    assert isinstance(compiled(config.ignore).verdict("src/a.py"), bool | None)


def check_yaml(raw: bytes) -> None:
    """Checks that YAML without faults equals the result of PyYAML, without merges and aliases."""
    document = read_yaml(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert all(1 <= fault.line <= lines + 1 and fault.text.isprintable() for fault in document.faults)
    if document.faults:
        return
    known = yaml.load(raw.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    assert _agree(document.value, known if known is not None else "")
    assert _depth(document.value) <= MAX_DEPTH + 1


def check_event(name: str, payload: bytes, publishing: bool) -> None:
    """Checks that any payload of an event is a task, a reason for none, or faults."""
    try:
        task = read_event(name, payload, repository="o/r", pull_request=None, publishing=publishing)
    except SettingsError as error:
        _check_faults(error, "")
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


def check_globs(patterns: tuple[str, ...], path: str) -> None:
    """Checks that any patterns can be matched with any path, and that a last `!` negates the match."""
    verdict = compiled(patterns).verdict(path)
    assert verdict in (True, False, None)
    negated = Globs((*compiled(patterns).globs, *compiled(("!**",)).globs))
    assert negated.verdict(path) is False
    assert compiled((*patterns, "**")).verdict(path) is True


def _check_faults(error: SettingsError, start: str) -> None:
    assert 0 < len(error.faults) <= MAX_FAULTS + 1
    for fault in error.faults:
        assert fault.startswith(start)
        assert fault.isprintable()
        assert len(fault) <= _LONGEST_FAULT


def _agree(read: Any, known: Any) -> bool:
    """Returns whether the value equals that of the loader, which reads all scalars as text."""
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
