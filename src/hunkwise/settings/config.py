"""The configuration file, validated with all errors at once, and its JSON Schema for editors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, Self, cast, get_args

from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import BUILT_IN_PROMPTS, STAGE_PROMPTS
from hunkwise.errors import SettingsError
from hunkwise.settings.audit_settings import AuditSettings
from hunkwise.settings.automatic_settings import AutomaticSettings
from hunkwise.settings.config_errors import (
    describe_expected,
    read_model,
    shape_at,
    similar_word,
)
from hunkwise.settings.parsing import (
    did_you_mean,
    input_subject,
    listed,
    quoted,
    safely_quoted,
    wrong_value,
)
from hunkwise.settings.prompt_settings import (
    MAX_PROMPTS,
    BudgetSettings,
    CommandSettings,
    ContextSettings,
    CreditLimit,
    FrontMatter,
    Gate,
    Globs,
    Level,
    ModelCalls,
    ModelId,
    PartialName,
    PromptSettings,
    RepositoryPath,
    SettingsModel,
    TokenLimit,
    check_prompts,
    setting,
)
from hunkwise.settings.strict_yaml import YamlDocument

MAX_MODELS: Final = 8
MAX_DEADLINE: Final = 360
"""In minutes."""


_REVIEW: Final = (PromptSettings(name="review"),)


class Config(SettingsModel):
    """The configuration of a review and its gates. `Config()` has the defaults that apply without a file."""

    version: Literal[1] = setting(
        1, "The version of this format.", wants="1, the only version that this hunkwise reads"
    )
    model: ModelId | None = setting(
        None, "Model id. Needed with a provider of your own.", unset="Copilot's choice"
    )
    models: tuple[ModelId, ...] = setting(
        (),
        "Model ids instead of `model`: where one is gone, retired or rate-limited, the next one is used for the rest of"
        " the run, and the summary says so.",
        wants=f"a list of up to {MAX_MODELS} model ids without spaces, of up to 200 characters",
        max_length=MAX_MODELS,
    )
    prompts: tuple[PromptSettings, ...] = setting(
        _REVIEW,
        "The prompts to run, each by its name alone or with keys of its own.",
        wants=f'a list of 1 to {MAX_PROMPTS} prompts, such as "- name: review"',
        minItems=1,
        maxItems=MAX_PROMPTS,
    )
    partials: Mapping[PartialName, RepositoryPath] = setting(
        {},
        "Paths of your own partials by the names of the built-in ones.",
        wants='keys and values, such as "severity: .github/hunkwise/severity.md.j2"',
    )
    ignore: Globs = setting(
        (), "Patterns of files that are not reviewed, as in `.gitignore`; `!pattern` includes again."
    )
    paths: Globs = setting((), "Patterns of the only files that are reviewed; without any, all are.")
    min_severity: Level = setting(Severity.LOW, "Omits findings below it, and counts them.")
    min_confidence: float = setting(
        0.55,
        "Findings whose stated confidence is below it get no comment and do not count for gates; the summary and the"
        " JSON report list them.",
        ge=0,
        le=1,
    )
    fail_on: Gate = setting(None, "Fails the run (exit code 1) when a finding reaches it.")
    request_changes_on: Gate = setting(None, "Requests changes when a finding reaches it.")
    approve: bool = setting(
        False, "Approves where nothing was found and everything was reviewed. No input sets it."
    )
    max_comments: int = setting(30, "Inline comments per review; the rest goes into its body.", ge=0, le=500)
    min_coverage: int = setting(
        0,
        "Percent of the changed lines that must have been reviewed; fails the run (exit code 1) below it.",
        ge=0,
        le=100,
    )
    deadline: float = setting(
        15.0,
        "Minutes for the whole run; what was found by then is published. Up to 30 seconds of it are reserved for"
        " publishing.",
        wants=f"a number of minutes above 0 and up to {MAX_DEADLINE}",
        gt=0,
        le=MAX_DEADLINE,
    )
    max_model_calls: ModelCalls = setting(
        200, "Model calls for the whole run; what was found by then is published."
    )
    max_tokens: TokenLimit = setting(
        None,
        "Tokens in and out for the whole run; what was found by then is published. Answers in progress may exceed it.",
    )
    max_credits: CreditLimit = setting(
        None,
        "AI credits of Copilot for the whole run (one is 0.01 USD); what was found by then is published.",
    )
    verify: Literal["off", "on", "strict"] = setting(
        "on",
        "A second session tries to refute each finding before it is posted; `strict`: what it could not check gets no"
        " comment on a line.",
    )
    verify_model: ModelId | None = setting(
        None, "Model id for verification, for example a cheaper one.", unset="the review's own"
    )
    verify_budget: BudgetSettings = setting(
        BudgetSettings(), "What verification may spend, by the keys of a budget."
    )
    summary: Literal["off", "short", "full"] = setting(
        "short", "What the summary says about the change; `full`: also areas, a risk note and a diagram."
    )
    summary_model: ModelId | None = setting(None, "Model id for the summary.", unset="the review's own")
    prompt_for_agents: bool = setting(True, "Adds a folded prompt for a coding agent to each finding.")
    context: ContextSettings = setting(
        ContextSettings(), "What a prompt contains besides the changed lines, by keys of its own."
    )
    dry_run: bool = setting(
        False, "Does everything except posting; the review is in the job summary and the report."
    )
    upload_sarif: bool = setting(
        False, "Uploads the findings to code scanning, for which the job needs `security-events: write`."
    )
    parallel: int = setting(8, "Number of chunks that are reviewed at the same time.", ge=1, le=32)
    chunk_size: int = setting(
        64_000,
        "Characters of diff in one prompt; up to 2.5 times as many where a change would take more than 16 of them.",
        ge=4_000,
        le=400_000,
    )

    audit: AuditSettings = setting(AuditSettings(), "Audits of the whole repository, by keys of its own.")
    commands: CommandSettings = setting(CommandSettings(), "Commands in comments, by keys of its own.")
    automatic: AutomaticSettings = setting(
        AutomaticSettings(), "Which pull requests are reviewed without a request, by keys of its own."
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
        return check_prompts(prompts)

    @model_validator(mode="after")
    def _check_model_or_models(self) -> Self:
        if self.model is not None and self.models:
            text = '"model" and "models" are both set; keep "models" alone, its first one is asked first'
            raise PydanticCustomError("sentence", "{text}", {"text": text, "key": "models"})
        return self

    @model_validator(mode="after")
    def _check_audit_prompts(self) -> Self:
        known = {name: prompt for name, prompt in self._known_prompts.items() if not prompt.is_stage}
        named = [prompt.name for prompt in self.audit.prompts if prompt.is_name or prompt.is_stage]
        if faults := _unknown_prompts(named, known, '"prompts" of the audit'):
            raise PydanticCustomError("sentence", "{text}", {"text": faults[0], "key": "audit"})
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

    def min_confidence_of(self, prompt: str) -> float:
        """The least confidence of the findings of a prompt that get a comment."""
        own = next((each.min_confidence for each in self.prompts if each.name == prompt), None)
        return self.min_confidence if own is None else own

    def with_all_confidences(self) -> Config:
        """Returns a copy with which no finding is left out for its confidence."""
        prompts = tuple(prompt.model_copy(update={"min_confidence": None}) for prompt in self.prompts)
        return self.model_copy(update={"min_confidence": 0.0, "prompts": prompts})

    def completed(self, fronts: Mapping[str, FrontMatter]) -> Config:
        """Returns a copy with every prompt that a run can use.

        Fields that a prompt's entry does not set are taken from its front matter in `fronts`, by prompt name.
        """
        prompts = (*self.reviewing, *(self.stage(name) for name in STAGE_PROMPTS))
        return self.model_copy(
            update={"prompts": tuple(prompt.under(fronts[prompt.name]) for prompt in prompts)}
        )

    def with_overrides(self, overrides: Mapping[str, object]) -> Config:
        """Returns a copy with overrides from `parse_overrides` applied. Raises SettingsError for unknown prompts."""
        fields = dict(overrides)
        if "prompts" in overrides:
            fields["prompts"] = self._select_prompts(cast("tuple[str, ...]", overrides["prompts"]))
        return self.model_copy(update=fields)

    def for_audit(self, overrides: Mapping[str, object] = MappingProxyType({})) -> Config:
        """Returns the configuration of an audit: the settings under `audit`, the overrides of `parse_overrides` above
        them, and nothing that is only for pull requests. Raises SettingsError for unknown prompts.

        `paths` stays as it is: the files of an audit are those that match `audit.paths` as well.
        """
        audit = self.audit
        settings: dict[str, object] = {
            "prompts": tuple(prompt.name for prompt in audit.prompts),
            "ignore": (*self.ignore, *audit.ignore),
            "min_severity": audit.min_severity,
            "max_model_calls": audit.max_model_calls,
            "max_credits": audit.max_credits,
            **overrides,
            "summary": "off",
            "request_changes_on": None,
            "approve": False,
            "min_coverage": 0,
        }
        own = {prompt.name: prompt for prompt in audit.prompts if not prompt.is_name}
        prompts = {prompt.name: prompt for prompt in self.prompts} | own
        return self.model_copy(update={"prompts": tuple(prompts.values())}).with_overrides(settings)

    @property
    def _known_prompts(self) -> dict[str, PromptSettings]:
        """The prompts that can be named: those of the file and the built-in ones."""
        by_name = {name: PromptSettings(name=name) for name in (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)}
        return by_name | {prompt.name: prompt for prompt in self.prompts}

    def _select_prompts(self, names: tuple[str, ...]) -> tuple[PromptSettings, ...]:
        """Returns the prompts with these names, from the file or built in, then the file's other stage prompts."""
        by_name = self._known_prompts
        if faults := _unknown_prompts(names, by_name, '"prompts"'):
            raise SettingsError(faults)
        stages = (prompt for prompt in self.prompts if prompt.is_stage and prompt.name not in names)
        return (*(by_name[name] for name in names), *stages)


def _unknown_prompts(names: Iterable[str], known: Mapping[str, PromptSettings], subject: str) -> list[str]:
    """Returns a sentence for each name of no prompt; `subject` is what a message calls the list of names."""
    return [
        f"{subject} names {quoted(name)}, and there is no such prompt; there is"
        f" {listed(list(known))}{did_you_mean(name, known) or '.'}"
        for name in names
        if name not in known
    ]


def parse_overrides(
    texts: Mapping[str, str],
    subject: Callable[[str], str] = input_subject,
    secrets: Sequence[str] = (),
) -> dict[str, object]:
    """Validates the texts of inputs, options or variables, which have the names of the file's keys.

    `model` may name several, separated by commas, and `prompts` has a name per line. `subject` returns what a message
    calls a text; `secrets` are not shown. Returns fields for `Config.with_overrides`. Raises SettingsError with all
    faults.
    """
    values = {name: _to_file_value(name, text) for name, text in texts.items()}
    prompts = tuple(dict.fromkeys(filter(None, map(str.strip, str(values.pop("prompts", "")).splitlines()))))
    models = tuple(filter(None, str(values.pop("model", "")).split(",")))
    if models:
        values |= {"model": models[0]} if len(models) == 1 else {"models": models}
    faults: list[str] = []
    overrides: dict[str, object] = {}
    try:
        given = Config.model_validate(values, by_alias=True, by_name=False)
        overrides = {name: getattr(given, name) for name in given.model_fields_set}
    except ValidationError as error:
        for key in dict.fromkeys(str(detail["loc"][0]) for detail in error.errors()):
            name, shape = "model" if key == "models" else key, shape_at(Config, (key,))
            found, near = safely_quoted(texts[name], secrets), similar_word(shape, texts[name])
            faults.append(wrong_value(subject(name), describe_expected(shape), found, near))
    if len(prompts) > MAX_PROMPTS:
        faults.append(
            f"{subject('prompts')} names {len(prompts)} prompts, and at most {MAX_PROMPTS} are run; name fewer."
        )
    if faults:
        raise SettingsError(faults)
    if "model" in texts:
        overrides = {"model": None, "models": (), **overrides}
    return {**overrides, "prompts": prompts} if "prompts" in texts else overrides


def _to_file_value(name: str, text: str) -> object:
    """Returns the value that a file would have instead of the text: a number or a boolean if the field wants one."""
    annotation = Config.model_fields[name.replace("-", "_")].annotation
    types = {getattr(part, "__origin__", part) for part in (annotation, *get_args(annotation))}
    if bool in types:
        return {"true": True, "false": False}.get(text, text)
    if int in types and re.fullmatch("[0-9]{1,12}", text):
        return int(text)
    if float in types and re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text):
        return float(text)
    return text


def parse_config(text: bytes, *, path: str) -> Config:
    """Parses the bytes of a configuration file. Raises SettingsError with all errors, each as `path:line: …`."""
    return read_config(text, path=path)[0]


def read_config(text: bytes, *, path: str) -> tuple[Config, YamlDocument]:
    """Like `parse_config`, but also returns the YAML document, which has the line number of each value."""
    kind = 'file must be keys and values, such as "version: 1"'
    required = {"version": '"version" is missing; add the line "version: 1" at the top'}
    return read_model(text, Config, path, kind=kind, required=required)
