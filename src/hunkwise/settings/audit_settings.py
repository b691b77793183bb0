"""The settings of audits: the key `audit` of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from hunkwise.domain.finding import Severity
from hunkwise.settings.prompt_settings import (
    MAX_PROMPTS,
    CreditLimit,
    Gate,
    Globs,
    Level,
    ModelCalls,
    PromptSettings,
    SettingsModel,
    check_prompts,
    extra,
    setting,
)

_Glob = Annotated[str, Field(min_length=1, max_length=1_000)]
_Weight = Annotated[float, Field(gt=0, le=1_000)]


class WeekSettings(SettingsModel):
    """Limits for all audits of a calendar week, which begins on Monday in UTC."""

    model_config = ConfigDict(
        json_schema_extra=extra(wants='keys and values, such as "max-model-calls: 200"')
    )

    max_model_calls: ModelCalls | None = setting(None, "Model calls.", unset="none of its own")
    max_credits: CreditLimit = setting(None, "AI credits of Copilot; one is 0.01 USD.")


class AuditPrompt(PromptSettings):
    """A prompt that an audit runs: with keys of its own, or the name of one that is built in or in `prompts`."""

    @property
    def is_name(self) -> bool:
        return self.model_fields_set == {"name"}

    def _lacks_template(self) -> bool:
        return not self.is_name and super()._lacks_template()  # `Config` knows which names there are

    @model_serializer(mode="wrap")
    def _dump_name(self, dump: SerializerFunctionWrapHandler) -> object:
        return self.name if self.is_name else dump(self)


class AuditSettings(SettingsModel):
    """What an audit reads, what it may spend, and what it reports."""

    model_config = ConfigDict(json_schema_extra=extra(wants='keys and values, such as "max-model-calls: 40"'))

    prompts: tuple[AuditPrompt, ...] = setting(
        (AuditPrompt(name="audit"),),
        "The prompts that an audit runs, each by its name alone (built in, or one of `prompts` above) or with keys of"
        " its own, as above.",
        wants=f'a list of 1 to {MAX_PROMPTS} prompts, such as "- name: audit"',
        minItems=1,
        maxItems=MAX_PROMPTS,
    )
    paths: Globs = setting((), "Patterns of the only files that are audited; without any, all are.")
    ignore: Globs = setting(
        (),
        "Patterns of files that are not audited, besides those of `ignore` above; `!pattern` includes again.",
    )
    min_severity: Level = setting(Severity.MEDIUM, "Omits findings below it, and counts them.")
    max_model_calls: ModelCalls = setting(
        60, "Model calls for one audit, its double-check included; the next audit continues."
    )
    max_credits: CreditLimit = setting(
        None, "AI credits of Copilot for one audit (one is 0.01 USD); the next audit continues."
    )
    week: WeekSettings = setting(WeekSettings(), "Limits for all audits of a week, by keys of its own.")
    again_after: int = setting(
        180, "Days after the beginning of a lap until all files are read again.", ge=1, le=3_650
    )
    notify_on: Gate = setting(
        Severity.HIGH, "Comments on the issue when a new finding reaches it; else the issue is only edited."
    )
    issue: str = setting(
        "hunkwise audit",
        "The title of the issue that is created.",
        wants="a title on one line, of up to 200 characters",
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$",
        max_length=200,
    )
    risk: Mapping[_Glob, _Weight] = setting(
        {},
        "Weights of paths, by glob: files with a higher one are read earlier (1 applies to all others; the last glob"
        " that matches decides).",
        wants='globs with numbers above 0 and up to 1000, such as {"src/auth/**": 3}',
    )

    @field_validator("prompts")
    @classmethod
    def _check_count_and_names(cls, prompts: tuple[AuditPrompt, ...]) -> tuple[AuditPrompt, ...]:
        return check_prompts(prompts)
