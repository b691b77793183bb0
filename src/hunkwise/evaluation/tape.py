"""What a model answered in one case, by the key of each request: a small file that holds no secret and no path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunkwise.domain.outcome import Usage
from hunkwise.errors import ModelKind, SettingsError
from hunkwise.evaluation.case_files import RECORDING
from hunkwise.given_file import read_given
from hunkwise.publish.secrets import SecretScan, without_secrets

VERSION: Final = 1
_MOST_BYTES: Final = 20_000_000
_Count = Annotated[int, Field(ge=0, le=10**18)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SaidUsage(_Shape):
    """What an answer cost; see domain.outcome.Usage."""

    model_calls: _Count = 0
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cached_tokens: _Count = 0
    tool_calls: _Count = 0
    models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    nano_credits: _Count = 0

    @property
    def value(self) -> Usage:
        return Usage(**{**self.model_dump(), "models": self.models})


class Answer(_Shape):
    """How one question went."""

    purpose: str
    parts: Mapping[str, str]
    """See keys.part_digests."""
    calls: Annotated[tuple[Any, ...], Field(strict=False)] = ()
    """The arguments of the reporting tool's calls."""
    usage: SaidUsage = SaidUsage()
    failed: Annotated[ModelKind, Field(strict=False)] | None = None


class _File(_Shape):
    version: Literal[1]
    case: str
    answers: Mapping[_Digest, Annotated[tuple[Answer, ...], Field(strict=False)]]


class Header(_Shape):
    """Who was recorded."""

    version: Literal[1] = 1
    model: str | None = None
    judge: str | None = None
    demo: bool = False


@dataclass
class Tape:
    """The answers of one case, in the order in which they came."""

    case: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)

    def put(self, key: str, answer: Answer) -> None:
        self.answers.setdefault(key, []).append(answer)

    def of_purpose(self, purpose: str) -> Iterator[Answer]:
        return (answer for same in self.answers.values() for answer in same if answer.purpose == purpose)

    def write(self, folder: Path, scan: SecretScan) -> None:
        """Raises SettingsError where the disk does not take it."""
        by_key = {key: [_json(answer) for answer in answers] for key, answers in self.answers.items()}
        contents = {"version": VERSION, "case": self.case, "answers": by_key}
        _write(tape_path(folder, self.case), without_secrets(contents, scan))


def tape_path(folder: Path, case: str) -> Path:
    return folder / f"{case}.json"


def read_tape(folder: Path, case: str) -> Tape:
    """The recorded answers of a case. Raises SettingsError where there are none, or they cannot be read."""
    path = tape_path(folder, case)
    try:
        found = _File.model_validate_json(_read(path, f'Nothing was recorded of the case "{case}"'))
    except ValidationError as error:
        raise _damaged(path, error) from error
    return Tape(case, {key: list(answers) for key, answers in found.answers.items()})


def write_header(folder: Path, header: Header) -> None:
    """Makes the folder a recording. Raises SettingsError where it holds something else, or cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = any(folder.iterdir()) and not (folder / RECORDING).is_file()
    except OSError as error:
        raise SettingsError([f"--record {folder}: it cannot be written ({error.strerror})."]) from error
    if strange:
        said = (
            f"--record {folder}: there is something else in it; name a new folder, or an earlier recording."
        )
        raise SettingsError([said])
    _write(folder / RECORDING, header.model_dump())


def read_header(folder: Path) -> Header:
    """Raises SettingsError where the folder is no recording."""
    path = folder / RECORDING
    try:
        return Header.model_validate_json(_read(path, f"--replay {folder}: it is no recording"))
    except ValidationError as error:
        raise _damaged(path, error) from error


def _json(answer: Answer) -> dict[str, Any]:
    """Without what says nothing, so that files stay small."""
    return answer.model_dump(mode="json", exclude_defaults=True)


def _write(path: Path, contents: object) -> None:
    text = json.dumps(contents, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="ascii")
        unfinished.replace(path)
    except OSError as error:
        raise SettingsError([f"--record: {path} cannot be written ({error.strerror})."]) from error


def _read(path: Path, missing: str) -> bytes:
    try:
        raw = read_given(path, _MOST_BYTES)
    except FileNotFoundError as error:
        said = f"{missing}: there is no {path.name} in {path.parent}; record it with --record."
        raise SettingsError([said]) from error
    except OSError as error:
        raise SettingsError([f"{path} cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{path} has more than {_MOST_BYTES:,} bytes: it is no recording of ours."])
    return raw


def _damaged(path: Path, error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part)[:20] for part in first["loc"]) or "its top"
    return SettingsError([f"{path}: {place}: {first['msg'][:200]}; record it again with --record."])
