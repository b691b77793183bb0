"""The configuration file, validated with all errors at once, and its JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import Severity
from hunkwise.errors import SettingsError
from hunkwise.settings.config_errors import missing_values, model_faults, sentences
from hunkwise.settings.parsing import (
    CHUNK_SIZE,
    CONTEXT_SIZE,
    MAX_COMMENTS,
    MAX_DEADLINE,
    MAX_MODEL_CALLS,
    MAX_MODELS,
    MIN_COVERAGE,
    NONE,
    PARALLEL,
    PROMPTS,
    did_you_mean,
    listed,
    quoted,
)
from hunkwise.settings.prompt_settings import (
    BUILT_IN_PROMPTS,
    STAGE_PROMPTS,
    STRICT,
    BudgetSettings,
    CreditLimit,
    FrontMatter,
    Gate,
    Glob,
    Level,
    ModelId,
    PartialName,
    PromptSettings,
    RepositoryPath,
    TokenLimit,
)
from hunkwise.settings.strict_yaml import YamlDocument, YamlFault, read_yaml


class ContextSettings(BaseModel):
    """Context that a chunk's prompt shows besides the changed lines. If it does not fit, later parts are cut first."""

    model_config = STRICT

    enclosing: bool = Field(
        default=True, description="The functions and classes that the changed lines stand in."
    )
    instructions: bool = Field(default=True, description="The repository's instructions for reviewers.")
    description: bool = Field(default=True, description="The pull request's title and description.")
    linked_issues: bool = Field(default=True, description="The issues that the pull request closes.")
    threads: bool = Field(default=True, description="Findings that stand open on the pull request.")
    files: bool = Field(default=True, description="The names of all changed files.")
    size: int = Field(
        default=24_000,
        ge=CONTEXT_SIZE.low,
        le=CONTEXT_SIZE.high,
        description="Characters a chunk for enclosing code and instructions together.",
    )

    @property
    def switches(self) -> dict[str, bool]:
        """Boolean fields by name (with underscores): whether each part is shown."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, bool)}


_REVIEW: Final = (PromptSettings(name="review"),)


class Config(BaseModel):
    """The configuration of a review and its gates. `Config()` has the defaults that apply without a file."""

    model_config = STRICT

    version: Literal[1] = Field(default=1, description="The version of this file's format.")
    model: ModelId | None = Field(default=None, description="Model id; Copilot's choice by default.")
    models: tuple[ModelId, ...] = Field(
        default=(),
        max_length=MAX_MODELS,
        description="Model ids, instead of `model`: the next one is asked where one is gone or rate-limited.",
    )
    prompts: tuple[PromptSettings, ...] = Field(
        default=_REVIEW,
        description="The prompts to run.",
        json_schema_extra={"minItems": PROMPTS.low, "maxItems": PROMPTS.high},
    )
    partials: Mapping[PartialName, RepositoryPath] = Field(
        default_factory=dict,
        description="Templates of one's own in the place of built-in partials, by the partial's name.",
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
    max_credits: CreditLimit = Field(default=None, description="AI credits of the whole run.")
    verify: Literal["off", "on", "strict"] = Field(
        default="on",
        description="A second session tries to refute each finding; strict: only what held gets a line's comment.",
    )
    verify_model: ModelId | None = Field(
        default=None, description="Model id for the second opinion; the review's own by default."
    )
    verify_budget: BudgetSettings = Field(
        default=BudgetSettings(),
        description="What the second opinion may spend, beside the run's own limits.",
    )
    summary: Literal["off", "short", "full"] = Field(
        default="short",
        description="What the summary says of the change; full asks for areas, a risk note and a diagram.",
    )
    summary_model: ModelId | None = Field(
        default=None, description="Model id for the summary; the review's own by default."
    )
    context: ContextSettings = Field(
        default=ContextSettings(), description="What a prompt shows beside the changed lines."
    )
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
    def _require_integer(cls, value: object) -> object:
        if type(value) is not int:  # Literal[1] also accepts True and 1.0, which are equal to it
            raise PydanticCustomError("whole", "whole")
        return value

    @field_validator("prompts")
    @classmethod
    def _check_count_and_names(cls, prompts: tuple[PromptSettings, ...]) -> tuple[PromptSettings, ...]:
        if not PROMPTS.low <= len(prompts) <= PROMPTS.high:
            raise PydanticCustomError("count", "count")
        names = [prompt.name for prompt in prompts]
        for name in names:
            if names.count(name) > 1:
                text = f"the prompt {quoted(name)} stands in the list twice; give one another name"
                raise PydanticCustomError("sentence", "{text}", {"text": text})
        return prompts

    @model_validator(mode="after")
    def _check_model_or_models(self) -> Self:
        if self.model is not None and self.models:
            text = '"model" and "models" both stand here; keep "models" alone, its first one is asked first'
            raise PydanticCustomError("sentence", "{text}", {"text": text, "key": "models"})
        return self

    @property
    def model_order(self) -> tuple[str | None, ...]:
        """The model ids to ask, in order; `(None,)` leaves the choice to the provider."""
        return self.models or (self.model,)

    @property
    def reviewing(self) -> tuple[PromptSettings, ...]:
        """The prompts that review the diff; `review` if only stage prompts are configured."""
        return tuple(prompt for prompt in self.prompts if not prompt.is_stage) or _REVIEW

    def stage(self, name: str) -> PromptSettings:
        """The settings of one of STAGE_PROMPTS; the defaults if it is not configured."""
        return next((prompt for prompt in self.prompts if prompt.name == name), PromptSettings(name=name))

    @property
    def own_files(self) -> dict[str, str]:
        """Paths of the user's own templates by prompt name; partials are named `partials/NAME`."""
        prompts = {prompt.name: prompt.template for prompt in self.prompts if prompt.template is not None}
        return prompts | {f"partials/{name}": path for name, path in self.partials.items()}

    def completed(self, fronts: Mapping[str, FrontMatter]) -> Config:
        """Returns a copy with every prompt that a run can use.

        Fields that a prompt's entry does not set are taken from its front matter in `fronts`, by prompt name.
        """
        prompts = (*self.reviewing, *(self.stage(name) for name in STAGE_PROMPTS))
        return self.model_copy(
            update={"prompts": tuple(prompt.under(fronts[prompt.name]) for prompt in prompts)}
        )

    def with_overrides(self, overrides: Mapping[str, object]) -> Config:
        """Returns a copy with the inputs that were set applied (`Inputs.overrides`). Raises SettingsError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields} | dict(overrides)
        if overrides.get("model") is not None:
            named = tuple(name for name in str(overrides["model"]).split(",") if name)
            fields["model"], fields["models"] = (named[0], ()) if len(named) == 1 else (None, named)
        if "prompts" in overrides:
            fields["prompts"] = self._select_prompts(cast("tuple[str, ...]", overrides["prompts"]))
        return Config.model_validate(fields, by_alias=False, by_name=True)

    def _select_prompts(self, names: tuple[str, ...]) -> tuple[PromptSettings, ...]:
        """Returns the prompts with these names, from the file or built in, then the file's other stage prompts."""
        by_name = {name: PromptSettings(name=name) for name in (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)}
        by_name |= {prompt.name: prompt for prompt in self.prompts}
        faults = [
            f'Input "prompts" names {quoted(name)}, and there is no such prompt; there is'
            f" {listed(list(by_name))}{did_you_mean(name, by_name) or '.'}"
            for name in names
            if name not in by_name
        ]
        if faults:
            raise SettingsError(faults)
        stages = (prompt for prompt in self.prompts if prompt.is_stage and prompt.name not in names)
        return (*(by_name[name] for name in names), *stages)


def parse_config(text: bytes, *, path: str) -> Config:
    """Parses the bytes of a configuration file. Raises SettingsError with all errors, each as `path:line: …`."""
    return read_config(text, path=path)[0]


def read_config(text: bytes, *, path: str) -> tuple[Config, YamlDocument]:
    """Like `parse_config`, but also returns the YAML document, which has the line number of each value."""
    document = read_yaml(text)
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        raise SettingsError(sentences(faults, path))
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        fault = YamlFault((), 1, 'the file must be keys and values, such as "version: 1"')
        raise SettingsError(sentences([fault], path))
    if "version" not in value:
        faults.append(
            YamlFault(("version",), 1, '"version" is missing; add the line "version: 1" at the top')
        )
    faults += missing_values(document, Config)
    try:
        config = Config.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        faults += model_faults(error, document, {fault.loc for fault in faults}, Config)
    if faults:
        raise SettingsError(sentences(faults, path))
    return config, document


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the configuration file, for editors (draft 2020-12)."""
    schema = _build_schema(Config)
    keys = schema["properties"]
    built_in = {"enum": [*BUILT_IN_PROMPTS, *STAGE_PROMPTS]}
    keys["prompts"]["items"] = {"anyOf": [built_in, keys["prompts"]["items"]]}
    keys["prompts"]["default"] = [prompt.name for prompt in Config().prompts]
    keys["min-severity"]["default"] = Severity.LOW.label
    for key in ("fail-on", "request-changes-on", "max-tokens", "max-credits"):
        keys[key]["default"] = NONE
    return {
        "$schema": _DRAFT,
        **schema,
        "title": "hunkwise",
        "description": "The configuration of hunkwise: .github/hunkwise.yml",
        "required": ["version"],
    }


def prompt_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a template's front matter, for editors (draft 2020-12)."""
    return {
        "$schema": _DRAFT,
        **_build_schema(FrontMatter),
        "title": "hunkwise prompt",
        "description": "The front matter of a prompt's template for hunkwise",
    }


def _build_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part["properties"] = {key: _simplify_for_editors(shape) for key, shape in part["properties"].items()}
    return schema


def _simplify_for_editors(shape: dict[str, Any]) -> dict[str, Any]:
    """Returns a key's schema without `title` and null: a key can be omitted, but needs a value if it is present."""
    schema = {keyword: value for keyword, value in shape.items() if keyword != "title"}
    # A $ref needs no default: the schema of the referenced model has the defaults of its keys.
    if schema.get("default", ...) is None or "$ref" in schema:
        schema.pop("default", None)
    choices = [choice for choice in schema.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return schema | dict(choices[0])
    return schema | {"anyOf": choices} if choices else schema
