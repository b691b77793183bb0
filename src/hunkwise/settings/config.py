"""The configuration file `.github/hunkwise.yml`, as a strict model; its faults all at once, with lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import Severity
from hunkwise.errors import SettingsError
from hunkwise.settings.config_faults import missing_values, model_faults, sentences
from hunkwise.settings.rules import (
    CHUNK_SIZE,
    MAX_COMMENTS,
    MAX_DEADLINE,
    MAX_MODEL_CALLS,
    MAX_TOKENS,
    MIN_COVERAGE,
    MODEL_PATTERN,
    NONE,
    PARALLEL,
    PROMPTS,
    SEVERITIES,
)
from hunkwise.settings.strict_yaml import Fault, read_yaml
from hunkwise.settings.wording import did_you_mean, listed, quoted

BUILT_IN_PROMPTS: Final = ("review",)
"""Prompts that come with hunkwise and need no template of one's own."""


def _level(found: object) -> object:
    return Severity.parse(found) if isinstance(found, str) and found in SEVERITIES else found


def _gate(found: object) -> object:
    return None if found == NONE else _level(found)


def _limit(found: object) -> object:
    return None if found == NONE else found


Level = Annotated[Severity, BeforeValidator(_level), WithJsonSchema({"enum": list(SEVERITIES)})]
Gate = Annotated[Severity | None, BeforeValidator(_gate), WithJsonSchema({"enum": [NONE, *SEVERITIES]})]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")]
TokenLimit = Annotated[
    Annotated[int, Field(ge=MAX_TOKENS.low, le=MAX_TOKENS.high)] | None,
    BeforeValidator(_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": MAX_TOKENS.low, "maximum": MAX_TOKENS.high},
                {"const": NONE},
            ]
        }
    ),
]
_STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    alias_generator=lambda name: name.replace("_", "-"),
    validate_by_name=True,
    validate_by_alias=True,
)


class PromptSettings(BaseModel):
    """One prompt to run: built in, or the user's own template."""

    model_config = _STRICT

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="What findings and the input `prompts` call it."
    )
    template: str | None = Field(
        default=None,
        description="The template's path from the repository's root; without it, a built-in prompt is meant.",
    )
    paths: tuple[Glob, ...] = Field(default=(), description="Globs of the files that it reviews; empty: all.")
    min_severity: Level | None = Field(
        default=None, description="Findings of this prompt below it are left out."
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, found: Any) -> Any:
        return {"name": found} if isinstance(found, str) else found

    @field_validator("template")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        if path is not None and (
            not path.isprintable() or "\\" in path or {"", ".", ".."} & set(path.split("/"))
        ):
            raise PydanticCustomError("path", "path")
        return path

    @model_validator(mode="after")
    def _built_in_or_template(self) -> Self:
        if self.template is None and self.name not in BUILT_IN_PROMPTS:
            near = did_you_mean(self.name, BUILT_IN_PROMPTS) or "; name its template"
            text = (
                f'the prompt {quoted(self.name)} has no "template", and only {listed(BUILT_IN_PROMPTS)} is'
                f" built in{near}"
            )
            raise PydanticCustomError("sentence", "{text}", {"text": text})
        return self


class Config(BaseModel):
    """What is reviewed, how, and where the gates are. `Config()` is what holds without a file."""

    model_config = _STRICT

    version: Literal[1] = Field(default=1, description="The version of this file's format.")
    model: str | None = Field(
        default=None, pattern=f"^{MODEL_PATTERN}$", description="Model id; Copilot's choice by default."
    )
    prompts: tuple[PromptSettings, ...] = Field(
        default=(PromptSettings(name="review"),),
        description="The prompts to run.",
        json_schema_extra={"minItems": PROMPTS.low, "maxItems": PROMPTS.high},
    )
    ignore: tuple[Glob, ...] = Field(default=(), description="Globs of files that are not reviewed.")
    paths: tuple[Glob, ...] = Field(
        default=(), description="Globs of the only files that are reviewed; empty: all."
    )
    min_severity: Level = Field(default=Severity.LOW, description="Findings below it are left out.")
    fail_on: Gate = Field(default=None, description="Exit 1 when a finding reaches it.")
    request_changes_on: Gate = Field(
        default=None, description="The review requests changes when a finding reaches it."
    )
    approve: bool = Field(
        default=False,
        description="Approves a change in which nothing was found and nothing was left unreviewed.",
    )
    max_comments: int = Field(
        default=30,
        ge=MAX_COMMENTS.low,
        le=MAX_COMMENTS.high,
        description="Inline comments a review; the rest goes into its body.",
    )
    min_coverage: int = Field(
        default=0,
        ge=MIN_COVERAGE.low,
        le=MIN_COVERAGE.high,
        description="Percent of the changed lines that must be reviewed.",
    )
    deadline: float = Field(default=15.0, gt=0, le=MAX_DEADLINE, description="Minutes for the whole run.")
    max_model_calls: int = Field(
        default=200,
        ge=MAX_MODEL_CALLS.low,
        le=MAX_MODEL_CALLS.high,
        description="Model calls of the whole run.",
    )
    max_tokens: TokenLimit = Field(default=None, description="Tokens of the whole run.")
    dry_run: bool = Field(default=False, description="Everything but the posting.")
    upload_sarif: bool = Field(
        default=False,
        description="Uploads the findings to code scanning; the job needs security-events: write.",
    )
    parallel: int = Field(
        default=8, ge=PARALLEL.low, le=PARALLEL.high, description="Chunks that are reviewed at the same time."
    )
    chunk_size: int = Field(
        default=64_000,
        ge=CHUNK_SIZE.low,
        le=CHUNK_SIZE.high,
        description="Characters of diff in one prompt; up to 2.5 times as many where a change is large.",
    )

    @field_validator("version", mode="before")
    @classmethod
    def _whole_version(cls, found: object) -> object:
        if type(found) is not int:  # Literal[1] takes True and 1.0 as well, which equal it
            raise PydanticCustomError("whole", "whole")
        return found

    @field_validator("prompts")
    @classmethod
    def _some_and_each_once(cls, prompts: tuple[PromptSettings, ...]) -> tuple[PromptSettings, ...]:
        if not PROMPTS.low <= len(prompts) <= PROMPTS.high:
            raise PydanticCustomError("count", "count")
        names = [prompt.name for prompt in prompts]
        for name in names:
            if names.count(name) > 1:
                text = f"the prompt {quoted(name)} stands in the list twice; give one another name"
                raise PydanticCustomError("sentence", "{text}", {"text": text})
        return prompts

    def with_overrides(self, overrides: Mapping[str, object]) -> Config:
        """This configuration under the inputs that were set (`Inputs.overrides`). Raises SettingsError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields} | dict(overrides)
        if "prompts" in overrides:
            fields["prompts"] = self._chosen(cast("tuple[str, ...]", overrides["prompts"]))
        return Config.model_validate(fields, by_alias=False, by_name=True)

    def _chosen(self, names: tuple[str, ...]) -> tuple[PromptSettings, ...]:
        """The prompts of those names: the file's, else the built-in ones."""
        known = {name: PromptSettings(name=name) for name in BUILT_IN_PROMPTS}
        known |= {prompt.name: prompt for prompt in self.prompts}
        faults = [
            f'Input "prompts" names {quoted(name)}, and there is no such prompt; there is'
            f" {listed(list(known))}{did_you_mean(name, known) or '.'}"
            for name in names
            if name not in known
        ]
        if faults:
            raise SettingsError(faults)
        return tuple(known[name] for name in names)


def parse_config(text: bytes, *, path: str) -> Config:
    """The configuration in the file's bytes. Raises SettingsError with all faults, each as `path:line: …`."""
    document = read_yaml(text)
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        raise SettingsError(sentences(faults, path))
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        top = Fault((), 1, 'the file must be keys and values, such as "version: 1"')
        raise SettingsError(sentences([top], path))
    if "version" not in value:
        faults.append(Fault(("version",), 1, '"version" is missing; add the line "version: 1" at the top'))
    faults += missing_values(document)
    try:
        config = Config.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        faults += model_faults(error, document, {fault.loc for fault in faults})
    if faults:
        raise SettingsError(sentences(faults, path))
    return config
