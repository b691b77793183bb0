"""The settings of prompts and of commands, and the typed fields that the configuration shares with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    WrapSerializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from hunkwise.domain.command import AUTHOR_WORDS
from hunkwise.domain.finding import SEVERITY_LABELS, Severity
from hunkwise.domain.model import BUILT_IN_PROMPTS, PARTIALS, READING_TOOLS, STAGE_PROMPTS, Limits
from hunkwise.settings.parsing import did_you_mean, is_repository_path, quoted

MAX_PROMPTS: Final = 32
_NONE: Final = "none"


def _parse_level(value: object) -> object:
    return Severity.from_label(value) if isinstance(value, str) and value in SEVERITY_LABELS else value


def _check_relative(path: str) -> str:
    if not is_repository_path(path):
        raise PydanticCustomError("path", "path")
    return path


def one_of(words: Sequence[str]) -> AfterValidator:
    """Returns a validator that accepts these words only."""

    def check(word: str) -> str:
        if word not in words:
            raise PydanticCustomError("word", "word")
        return word

    return AfterValidator(check)


def extra(*, wants: str = "", unset: str = "", **keywords: object) -> dict[str, Any]:
    """Returns keywords for a field's JSON Schema.

    `wants` completes "must be …" where the other keywords do not say it all; `unset` is what applies where the value is
    None. These two are for hunkwise's own messages and documentation, and are not published.
    """
    texts = {"wants": wants, "unset": unset}
    return {keyword: text for keyword, text in texts.items() if text} | keywords


def setting(default: object, description: str, **keywords: Any) -> Any:
    """Declares a setting once, for messages, schemas, documentation and inputs.

    `keywords` are bounds of pydantic's `Field`, else those of `extra`.
    """
    bounds = {name: keywords.pop(name) for name in _BOUNDS & keywords.keys()}
    if isinstance(default, Severity):
        keywords["default"] = default.label
    return Field(default=default, description=description, json_schema_extra=extra(**keywords), **bounds)


_BOUNDS: Final = {"ge", "gt", "le", "max_length", "pattern"}


def _wants(expected: str) -> Any:
    return Field(json_schema_extra=extra(wants=expected))


class _NoneSchema:
    """Puts the word `none` instead of null into a type's JSON Schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape = handler(schema)["anyOf"][0]
        return {"enum": [_NONE, *shape["enum"]]} if "enum" in shape else {"anyOf": [shape, {"const": _NONE}]}


_FROM_NONE: Final = BeforeValidator(lambda value: None if value == _NONE else value)
_TO_NONE: Final = WrapSerializer(
    lambda value, serialize: _NONE if value is None else serialize(value), when_used="json"
)
Level = Annotated[
    Severity,
    BeforeValidator(_parse_level),
    PlainSerializer(lambda level: level.label, when_used="json"),
    WithJsonSchema({"enum": list(SEVERITY_LABELS)}),
]
Gate = Annotated[Level | None, _FROM_NONE, _TO_NONE, _NoneSchema()]
Globs = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")], ...],
    _wants('a list of globs, such as ["src/**"]'),
]
RepositoryPath = Annotated[
    str,
    AfterValidator(_check_relative),
    _wants("the path of a file in the repository, relative to its root, without .."),
]
"""A file's path relative to the repository's root, with slashes and without `..`."""
ModelId = Annotated[
    str,
    Field(pattern="^[!-~]{1,200}$"),
    _wants("a model id without spaces, of up to 200 characters"),
]
ModelCalls = Annotated[int, Field(ge=1, le=10_000)]
TokenLimit = Annotated[
    Annotated[int, Field(ge=1, le=1_000_000_000)] | None, _FROM_NONE, _TO_NONE, _NoneSchema()
]
CreditLimit = Annotated[
    Annotated[float, Field(gt=0, le=1_000_000)] | None, _FROM_NONE, _TO_NONE, _NoneSchema()
]
PartialName = Annotated[str, one_of(PARTIALS), WithJsonSchema({"enum": list(PARTIALS), "type": "string"})]
_Category = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
_ReadingTool = Annotated[
    str, one_of(READING_TOOLS), WithJsonSchema({"enum": list(READING_TOOLS), "type": "string"})
]


class SettingsModel(BaseModel):
    """Keys with dashes, of which unknown ones are errors; values are not converted."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        validate_by_alias=True,
    )


class BudgetSettings(SettingsModel):
    """Limits for a prompt, for one of its chunks, or for the verification of findings."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "max-model-calls: 20"'))

    max_model_calls: ModelCalls | None = setting(None, "Model calls.", unset="none of its own")
    max_tokens: TokenLimit = setting(None, "Tokens in and out.")
    max_credits: CreditLimit = setting(None, "AI credits of Copilot; one is 0.01 USD.")

    @property
    def limits(self) -> Limits:
        return Limits(self.max_model_calls, self.max_tokens, self.max_credits)


class FrontMatter(SettingsModel):
    """The front matter of a template: the YAML between two lines of three dashes at its top."""

    description: str = setting("", "What the prompt looks for, in a line.", max_length=300)
    paths: Globs = setting((), "Patterns of the files that this prompt reviews; without any, all.")
    min_severity: Level | None = setting(
        None, "Findings of this prompt below it are omitted.", unset="the run's own"
    )
    min_confidence: float | None = setting(
        None,
        "Findings of this prompt whose stated confidence is below it get no comment.",
        unset="the run's own",
        ge=0,
        le=1,
    )
    max_severity: Level | None = setting(
        None, "Findings of this prompt above it are lowered to it.", unset="any"
    )
    categories: tuple[_Category, ...] = setting(
        (),
        "The words that the model may choose a finding's category from; without any, it is free.",
        wants="a list of up to 32 names of lower-case letters, digits, - and _, of up to 40 characters",
        max_length=32,
    )
    budget: BudgetSettings = setting(
        BudgetSettings(), "What the prompt may spend in a run, by the keys of a budget."
    )
    chunk_budget: BudgetSettings = setting(BudgetSettings(), "What it may spend on one chunk of the diff.")
    tools: tuple[_ReadingTool, ...] = setting(
        READING_TOOLS, "Which of the tools that read the repository the model is offered; `[]` for none."
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.min_severity, self.max_severity
        if low is not None and high is not None and low > high:
            text = f'"min-severity" ({low.label}) is above "max-severity" ({high.label}); swap them'
            raise PydanticCustomError("sentence", "{text}", {"text": text, "key": "min-severity"})
        return self


class PromptSettings(FrontMatter):
    """One prompt to run: built in, or the user's own template."""

    name: str = setting(
        ...,
        "Its name in findings and in the input `prompts`.",
        wants="a name of lower-case letters, digits, - and _, of up to 64 characters",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
    )
    template: RepositoryPath | None = setting(
        None, "The template's path from the repository's root.", unset="built in"
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_template(self) -> Self:
        if self._lacks_template():
            built_in = (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)
            near = did_you_mean(self.name, built_in) or "; name its template"
            text = (
                f'the prompt {quoted(self.name)} has no "template", and only {", ".join(built_in[:-1])} and'
                f" {built_in[-1]} are built in{near}"
            )
            raise PydanticCustomError("sentence", "{text}", {"text": text})
        return self

    def _lacks_template(self) -> bool:
        return self.template is None and self.name not in (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)

    @property
    def is_stage(self) -> bool:
        """True for a prompt that does not review the diff (STAGE_PROMPTS)."""
        return self.name in STAGE_PROMPTS

    def under(self, front: FrontMatter) -> PromptSettings:
        """Returns a copy in which fields that are not set here are taken from the front matter."""
        inherited = {name: getattr(front, name) for name in front.model_fields_set - self.model_fields_set}
        return self.model_copy(update=inherited)


def check_prompts(prompts: tuple[_Prompt, ...]) -> tuple[_Prompt, ...]:
    """Checks number and names of a list of prompts, for a validator of pydantic."""
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise PydanticCustomError("count", "count")
    names = [prompt.name for prompt in prompts]
    for name in names:
        if names.count(name) > 1:
            text = f"the prompt {quoted(name)} is in the list twice; give one another name"
            raise PydanticCustomError("sentence", "{text}", {"text": text})
    return prompts


_Prompt = TypeVar("_Prompt", bound=PromptSettings)


_AUTHOR_WORDS: Final = tuple(map(str, AUTHOR_WORDS))
_AuthorWord = Annotated[
    str, one_of(_AUTHOR_WORDS), WithJsonSchema({"enum": list(_AUTHOR_WORDS), "type": "string"})
]


class CommandSettings(SettingsModel):
    """Who may give which commands, besides people with write access, who may give all of them."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "author: [explain]"'))

    author: tuple[_AuthorWord, ...] = setting(
        (),
        "Commands that the author of a pull request may give without write access; each of them but `help` and"
        " `config` asks a model.",
    )


class ContextSettings(SettingsModel):
    """Context that a chunk's prompt shows besides the changed lines. If it does not fit, later parts are cut first."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "threads: false"'))

    enclosing: bool = setting(
        True, "The functions and classes that the changed lines are in, and definitions that they call."
    )
    instructions: bool = setting(True, "The repository's instructions for reviewers.")
    description: bool = setting(True, "The pull request's title and description.")
    linked_issues: bool = setting(True, "The issues that the pull request closes.")
    threads: bool = setting(True, "Open findings on the pull request.")
    files: bool = setting(True, "The names of all changed files.")
    size: int = setting(
        24_000, "Characters per chunk for enclosing code and instructions together.", ge=0, le=200_000
    )

    @property
    def switches(self) -> dict[str, bool]:
        """Boolean fields by name (with underscores): whether each part is shown."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, bool)}
