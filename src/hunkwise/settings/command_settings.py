"""The settings of commands in comments: the key `commands` of the configuration file."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, WithJsonSchema

from hunkwise.domain.command import AUTHOR_WORDS
from hunkwise.settings.prompt_settings import SettingsModel, extra, one_of, setting

_WORDS: Final = tuple(map(str, AUTHOR_WORDS))
_AuthorWord = Annotated[str, one_of(_WORDS), WithJsonSchema({"enum": list(_WORDS), "type": "string"})]


class CommandSettings(SettingsModel):
    """Who may give which commands, besides people with write access, who may give all of them."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "author: [explain]"'))

    author: tuple[_AuthorWord, ...] = setting(
        (),
        "Commands that the author of a pull request may give without write access; each of them but `help` and"
        " `config` asks a model.",
    )
