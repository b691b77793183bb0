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

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import READING_TOOLS, Limits
from hunkwise.settings.parsing import (
    MAX_CREDITS,
    MAX_MODEL_CALLS,
    MAX_TOKENS,
    MODEL_PATTERN,
    NONE,
    SEVERITIES,
    did_you_mean,
    quoted,
)


def _level(found: object) -> object:
    return Severity.parse(found) if isinstance(found, str) and found in SEVERITIES else found


def _gate(found: object) -> object:
    return None if found == NONE else _level(found)


def _limit(found: object) -> object:
    return None if found == NONE else found


def _inside(path: str) -> str:
    if not path.isprintable() or "\\" in path or {"", ".", ".."} & set(path.split("/")):
        raise PydanticCustomError("path", "path")
    return path


Level = Annotated[Severity, BeforeValidator(_level), WithJsonSchema({"enum": list(SEVERITIES)})]
Gate = Annotated[Severity | None, BeforeValidator(_gate), WithJsonSchema({"enum": [NONE, *SEVERITIES]})]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")]
RepositoryPath = Annotated[str, AfterValidator(_inside)]
"""A file in the repository, from its root, with slashes and without a way out."""
ModelId = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]
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
CreditLimit = Annotated[
    Annotated[float, Field(gt=0, le=MAX_CREDITS)] | None,
    BeforeValidator(_limit),
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
"""For every model of the settings: keys with dashes, nothing unknown, nothing converted."""


BUILT_IN_PROMPTS: Final = ("review", "security", "tests", "performance", "api", "docs")
"""Prompts over the diff that come with hunkwise and need no template of one's own."""
STAGE_PROMPTS: Final = ("verify", "summary")
"""Built-in prompts that are put once the others are done; `verify` and `summary` of the configuration say whether."""
PARTIALS: Final = ("prove", "severity", "writing", "change", "files", "threads", "instructions", "part")
"""Parts that the built-in prompts have in common, each of which may be replaced."""
PartialName = Literal["prove", "severity", "writing", "change", "files", "threads", "instructions", "part"]
assert PartialName.__args__ == PARTIALS  # type: ignore[attr-defined]  # what typing keeps, and does not type
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
ReadingTool = Literal["repo_read", "repo_search", "repo_list"]
_ALL_TOOLS: Final[tuple[ReadingTool, ...]] = get_args(ReadingTool)
assert _ALL_TOOLS == READING_TOOLS


class BudgetSettings(BaseModel):
    """What may be spent: on a prompt, on one of its chunks, on the second opinion."""

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
    """What stands above a template, between two lines of three dashes."""

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
    def _a_range(self) -> Self:
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
    def _name_alone(cls, found: Any) -> Any:
        return {"name": found} if isinstance(found, str) else found

    @model_validator(mode="after")
    def _built_in_or_template(self) -> Self:
        known = (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)
        if self.template is None and self.name not in known:
            near = did_you_mean(self.name, known) or "; name its template"
            text = (
                f'the prompt {quoted(self.name)} has no "template", and only {", ".join(known[:-1])} and'
                f" {known[-1]} are built in{near}"
            )
            raise PydanticCustomError("sentence", "{text}", {"text": text})
        return self

    @property
    def is_stage(self) -> bool:
        """Whether it is put when the others are done, and not over the diff."""
        return self.name in STAGE_PROMPTS

    def under(self, front: FrontMatter) -> PromptSettings:
        """These settings, and the front matter's where they say nothing."""
        told = {name: getattr(front, name) for name in front.model_fields_set - self.model_fields_set}
        return self.model_copy(update=told)
