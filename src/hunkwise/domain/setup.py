"""The options of `hunkwise init`: how a model is reached, and which workflows are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hunkwise.domain.finding import SEVERITY_LABELS

ModelAccess = Literal["organization", "token", "openai", "azure", "anthropic", "running-cli"]
ForkReviews = Literal["no", "read-only", "two-workflows", "pull-request-target"]
AuditJobs = Literal["no", "weekly", "matrix"]
PROVIDERS: Final = ("openai", "azure", "anthropic")
DEFAULT_SECRETS: Final[Mapping[str, str]] = {
    "token": "COPILOT_TOKEN",
    **dict.fromkeys(PROVIDERS, "MODEL_KEY"),
    "running-cli": "COPILOT_CONNECTION_TOKEN",
}
"""The secrets of the ways to a model that need one."""
DEFAULT_URLS: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "azure": "${{ vars.AZURE_URL }}",
    "anthropic": "https://api.anthropic.com",
    "running-cli": "127.0.0.1:4321",
}
DEFAULT_MODELS: Final = dict.fromkeys(PROVIDERS, "${{ vars.MODEL }}")


@dataclass(frozen=True)
class SetupOptions:
    """What is set up."""

    auth: ModelAccess = "organization"
    url: str | None = None
    """The provider's base URL, or host:port of the running CLI; None for that of DEFAULT_URLS."""
    model: str | None = None
    """None for that of DEFAULT_MODELS."""
    secret: str | None = None
    """The name of the secret that holds the token or key; None for that of DEFAULT_SECRETS."""
    two_jobs: bool = False
    dispatch: bool = False
    forks: ForkReviews = "no"
    audit: AuditJobs = "no"
    commands: bool = False
    code_scanning: bool = False
    fail_on: str = "none"


@dataclass(frozen=True)
class SetupQuestion:
    """A question of `hunkwise init`, which is also an option of its command line."""

    field: str
    """The name in `SetupOptions`."""
    text: str
    help: str
    answers: tuple[str, ...] = ()
    """The accepted words; empty for any text."""
    defaults: Mapping[str, str] | None = None
    """The default for each way to a model that the question is asked for; None: it is asked for all."""

    @property
    def is_yes_or_no(self) -> bool:
        return self.answers == _YES_OR_NO

    def default(self, auth: str) -> str:
        """Returns the answer that applies if there is none."""
        if self.defaults is not None:
            return self.defaults[auth]
        value = getattr(SetupOptions(), self.field)
        return _YES_OR_NO[not value] if self.is_yes_or_no else str(value)


_YES_OR_NO: Final = ("yes", "no")
QUESTIONS: Final = (
    SetupQuestion(
        "auth",
        "Which model answers: Copilot billed to the organization, Copilot by a personal token, a provider of your own "
        "(openai, azure, anthropic), or a Copilot CLI that is already running?",
        "how the model is reached",
        get_args(ModelAccess),
    ),
    SetupQuestion(
        "url",
        "Where is it: the base URL of the provider, or host:port of the CLI?",
        "base URL of the provider, or host:port of the running CLI",
        defaults=DEFAULT_URLS,
    ),
    SetupQuestion(
        "model",
        "Which model, by its id?",
        "a model id (default: Copilot's choice; with a provider the variable MODEL of the repository)",
        defaults=DEFAULT_MODELS,
    ),
    SetupQuestion(
        "secret",
        "What is the name of the secret with the token or key?",
        "name of the secret that holds the token or key, not its value",
        defaults=DEFAULT_SECRETS,
    ),
    SetupQuestion(
        "two_jobs",
        "Should a second job publish the review, so that the job with the model has no token that can write?",
        "publish from a second job, so that the job with the model has no token that can write",
        _YES_OR_NO,
    ),
    SetupQuestion(
        "dispatch",
        "Should people be able to start a review of any pull request by its number?",
        "also start a review by hand, by the number of a pull request",
        _YES_OR_NO,
    ),
    SetupQuestion(
        "forks",
        "How should pull requests from forks be reviewed?",
        "how pull requests from forks are reviewed; docs/forks.md compares the ways",
        get_args(ForkReviews),
    ),
    SetupQuestion(
        "audit",
        "Should the whole repository be audited every week, in one job (weekly) or in parallel jobs (matrix)?",
        "audit the whole repository every week, in one job or in a matrix of jobs",
        get_args(AuditJobs),
    ),
    SetupQuestion(
        "commands",
        "Should hunkwise answer commands in comments, such as /hunkwise review?",
        "answer commands in comments, such as /hunkwise review",
        _YES_OR_NO,
    ),
    SetupQuestion(
        "code_scanning",
        "Should findings be uploaded to GitHub's code scanning?",
        "upload findings to code scanning",
        _YES_OR_NO,
    ),
    SetupQuestion(
        "fail_on",
        "From which severity on should a finding fail the run?",
        "fail the run when a finding reaches this severity",
        ("none", *SEVERITY_LABELS),
    ),
)
"""In the order in which they are asked."""
