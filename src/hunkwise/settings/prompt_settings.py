"""The settings of one prompt, and the typed fields that the configuration shares with them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import SEVERITY_LABELS, Severity
from hunkwise.domain.model import READING_TOOLS, Limits
from hunkwise.settings.parsing import (
    MAX_CREDITS,
    MAX_MODEL_CALLS,
    MAX_TOKENS,
    MODEL_PATTERN,
    NONE,
    did_you_mean,
    quoted,
)


def _parse_level(value: object) -> object:
    return Severity.from_label(value) if isinstance(value, str) and value in SEVERITY_LABELS else value


def _parse_gate(value: object) -> object:
    return None if value == NONE else _parse_level(value)


def _parse_limit(value: object) -> object:
    return None if value == NONE else value


def _check_relative(path: str) -> str:
    if not path.isprintable() or "\\" in path or {"", ".", ".."} & set(path.split("/")):
        raise PydanticCustomError("path", "path")
    return path


Level = Annotated[Severity, BeforeValidator(_parse_level), WithJsonSchema({"enum": list(SEVERITY_LABELS)})]
Gate = Annotated[
    Severity | None, BeforeValidator(_parse_gate), WithJsonSchema({"enum": [NONE, *SEVERITY_LABELS]})
]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")]
RepositoryPath = Annotated[str, AfterValidator(_check_relative)]
"""A file's path relative to the repository's root, with slashes and without `..`."""
ModelId = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]
TokenLimit = Annotated[
    Annotated[int, Field(ge=MAX_TOKENS.low, le=MAX_TOKENS.high)] | None,
    BeforeValidator(_parse_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": MAX_TOKENS.low, "maximum": MAX_TOKENS.high},
                {"const": NONE},
            ]
        }
    ),
]
CreditLimit = Annotated[
    Annotated[float, Field(gt=0, le=MAX_CREDITS)] | None,
    BeforeValidator(_parse_limit),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_CREDITS}, {"const": NONE}]}
    ),
]
STRICT: Final = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    alias_generator=lambda name: name.replace("_", "-"),
    validate_by_name=True,
    validate_by_alias=True,
)
"""For all settings models: keys with dashes, unknown keys are errors, and values are not converted."""


BUILT_IN_PROMPTS: Final = ("review", "security", "tests", "performance", "api", "docs")
"""Prompts that review the diff and are built in: they need no template in the repository."""
STAGE_PROMPTS: Final = ("verify", "summary")
"""Built-in prompts that run after the others, if `verify` and `summary` of the configuration enable them."""
PARTIALS: Final = ("prove", "severity", "writing", "change", "files", "threads", "instructions", "part")
"""Partials that the built-in prompts share; the configuration can replace each of them."""
PartialName = Literal["prove", "severity", "writing", "change", "files", "threads", "instructions", "part"]
assert PartialName.__args__ == PARTIALS  # type: ignore[attr-defined]  # typing sets it, but does not declare it
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
ReadingTool = Literal["repo_read", "repo_search", "repo_list"]
_ALL_TOOLS: Final[tuple[ReadingTool, ...]] = get_args(ReadingTool)
assert _ALL_TOOLS == READING_TOOLS


class BudgetSettings(BaseModel):
    """Limits for a prompt, for one of its chunks, or for the verification of findings."""

    model_config = STRICT

    max_model_calls: Annotated[int, Field(ge=MAX_MODEL_CALLS.low, le=MAX_MODEL_CALLS.high)] | None = Field(
        default=None, description="Model calls."
    )
    max_tokens: TokenLimit = Field(default=None, description="Tokens in and out.")
    max_credits: CreditLimit = Field(default=None, description="AI credits of Copilot; one is 0.01 USD.")

    @property
    def limits(self) -> Limits:
        return Limits(self.max_model_calls, self.max_tokens, self.max_credits)


class FrontMatter(BaseModel):
    """The front matter of a template: the YAML between two lines of three dashes at its top."""

    model_config = STRICT

    description: str = Field(default="", max_length=300, description="What the prompt looks for, in a line.")
    paths: tuple[Glob, ...] = Field(default=(), description="Globs of the files that it reviews; empty: all.")
    min_severity: Level | None = Field(
        default=None, description="Findings of this prompt below it are left out."
    )
    max_severity: Level | None = Field(
        default=None, description="Findings of this prompt above it are lowered to it."
    )
    categories: tuple[Category, ...] = Field(
        default=(),
        max_length=32,
        description="The categories that the model may choose from; empty: any word.",
    )
    budget: BudgetSettings = Field(
        default=BudgetSettings(),
        description="What the prompt may spend in a run, beside the run's own limits.",
    )
    chunk_budget: BudgetSettings = Field(
        default=BudgetSettings(), description="What it may spend on one chunk of the diff."
    )
    tools: tuple[ReadingTool, ...] = Field(
        default=_ALL_TOOLS, description="Which of the tools that read the repository the model is offered."
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

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="What findings and the input `prompts` call it."
    )
    template: RepositoryPath | None = Field(
        default=None,
        description="The template's path from the repository's root; without it, a built-in prompt is meant.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_template(self) -> Self:
        built_in = (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)
        if self.template is None and self.name not in built_in:
            near = did_you_mean(self.name, built_in) or "; name its template"
            text = (
                f'the prompt {quoted(self.name)} has no "template", and only {", ".join(built_in[:-1])} and'
                f" {built_in[-1]} are built in{near}"
            )
            raise PydanticCustomError("sentence", "{text}", {"text": text})
        return self

    @property
    def is_stage(self) -> bool:
        """True for a prompt that runs after the others and does not review the diff (STAGE_PROMPTS)."""
        return self.name in STAGE_PROMPTS

    def under(self, front: FrontMatter) -> PromptSettings:
        """Returns a copy in which fields that are not set here are taken from the front matter."""
        inherited = {name: getattr(front, name) for name in front.model_fields_set - self.model_fields_set}
        return self.model_copy(update=inherited)
