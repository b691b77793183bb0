"""Parses the JSON files of cases, and says what is wrong with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunkwise.settings.parsing import did_you_mean, listed, quoted

MAX_BYTES: Final = 512 * 1024


class CaseShape(BaseModel):
    """The base of all objects in these files."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PullRequestText(CaseShape):
    """The author's title and description of the change."""

    title: str = Field(default="", max_length=1_000, description="The title.")
    body: str = Field(default="", max_length=65_536, description="The description.")


COMMON_WANTS: Final = {
    "version": "1, the only version that this hunkwise reads",
    "description": "a text of up to 2,000 characters",
    "pull_request": 'an object with "title" and "body"',
    "title": "a text of up to 1,000 characters",
    "body": "a text of up to 65,536 characters",
}
"""What the keys of every file must be."""
_File = TypeVar("_File", bound=CaseShape)


@dataclass(frozen=True)
class CaseFormat(Generic[_File]):
    """The format of a file: its model, and what messages say of it."""

    model: type[_File]
    wants: Mapping[str, str]
    """What each key must be, as the end of a sentence; `key[]` has it for the items of a list."""
    keys: Mapping[str, tuple[str, ...]]
    """The keys of the objects below the key, besides those of the top and of `pull_request`."""
    choices: Mapping[str, tuple[str, ...]]
    example: str
    """The smallest file that is right."""

    def parse(self, raw: bytes, path: str) -> tuple[_File | None, list[str]]:
        """Returns the file's contents, or None and its faults as `path: findings[2]: …`. Never raises."""
        if len(raw) > MAX_BYTES:
            return None, [f"{path}: the file has more than {MAX_BYTES:,} bytes; shorten it"]
        try:
            value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object)
        except UnicodeDecodeError:
            return None, [f"{path}: the file is not UTF-8; save it as UTF-8"]
        except json.JSONDecodeError as error:
            return None, [f"{path}:{error.lineno}: not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"]
        except RecursionError:
            return None, [f"{path}: too many levels of nesting; flatten the file"]
        except ValueError as error:  # a duplicate key, or a number of thousands of digits
            return None, [f"{path}: {str(error)[:300]}"]
        if not isinstance(value, dict):
            return None, [f"{path}: the file must be an object, such as {self.example}"]
        try:
            return self.model.model_validate(value), []
        except ValidationError as error:
            details = error.errors(include_url=False)
            return None, [
                f"{path}: {self._sentence(one['type'], one['loc'], one['input'])}" for one in details
            ]

    def _sentence(self, kind: str, loc: tuple[int | str, ...], value: object) -> str:
        place, key = _place(loc), next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
        if kind == "extra_forbidden":
            keys = self._keys_below(next((part for part in loc[-2::-1] if isinstance(part, str)), ""))
            near = did_you_mean(key.replace("-", "_"), keys) or f"; there is {listed(keys)}"
            return f"{place}unknown key {quoted(key)}{near}"
        if kind == "missing":
            return f"{place}{quoted(key)} is missing; give {self.wants[key]}"
        if isinstance(loc[-1], int):
            return f"{place}it must be {self.wants[f'{key}[]']}, not {quoted(value)}"
        choices = self.choices.get(key)
        near = did_you_mean(value, choices) if choices and isinstance(value, str) else ""
        many = f"; there are {len(value)}" if kind == "too_long" and isinstance(value, list | tuple) else ""
        return f"{place}{quoted(key)} must be {self.wants[key]}, not {quoted(value)}{near or many}"

    def _keys_below(self, key: str) -> tuple[str, ...]:
        own = {"": tuple(self.model.model_fields), "pull_request": tuple(PullRequestText.model_fields)}
        return {**own, **self.keys}[key]


def _place(loc: tuple[int | str, ...]) -> str:
    """Returns where the item of a list is, as `findings[2]: `; empty for what is in no list."""
    last = max((index for index, part in enumerate(loc) if isinstance(part, int)), default=-1)
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[: last + 1])
    place = "".join(steps).removeprefix(".")
    return f"{place}: " if place else ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    counts = Counter(key for key, _ in pairs)
    for key, count in counts.items():
        if count > 1:
            raise ValueError(f"{quoted(key)} appears {count} times in one object; keep one of them")
    return dict(pairs)
