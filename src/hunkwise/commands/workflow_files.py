"""Renders the workflows and the configuration that `hunkwise init` writes. The examples of workflows are its output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from textwrap import wrap
from typing import Final

import jinja2

from hunkwise.copilot.find_cli import CLI_VERSION, OLDEST_VERSION
from hunkwise.domain.setup import DEFAULT_MODELS, DEFAULT_SECRETS, DEFAULT_URLS, SetupOptions
from hunkwise.settings.config import Config
from hunkwise.settings.config_errors import Shape, describe_expected, shape_at
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH

_FOLDER: Final = ".github/workflows"
_WIDTH: Final = 112
_RARE_KEYS: Final = (
    *("models", "partials", "verify-budget", "summary-model"),
    *("dry-run", "upload-sarif", "parallel", "chunk-size"),
)
"""Keys that the commented configuration omits; docs/configuration.md has all of them."""


@dataclass(frozen=True)
class ActionReference:
    """What `uses:` names: a commit of hunkwise's repository."""

    repository: str
    sha: str
    version: str = ""
    """The release of that commit, such as v1.2.3; empty if it is not known."""

    @property
    def is_release(self) -> bool:
        return self != PLACEHOLDER

    def __str__(self) -> str:
        return f"{self.repository}@{self.pin}"

    @property
    def pin(self) -> str:
        return f"{self.sha} # {self.version}" if self.version else self.sha


PLACEHOLDER: Final = ActionReference("OWNER/hunkwise", "0" * 40, "v0.1.0")
"""Stands for a release in the examples, and where the release of this installation is not known."""


def workflow_files(
    options: SetupOptions, action: ActionReference = PLACEHOLDER, *, enterprise_server: bool = False
) -> dict[str, str]:
    """Returns the texts of the workflows by their paths in a repository. The options must be valid.

    `enterprise_server`: for GitHub Enterprise Server, which lacks some features of workflows.
    """
    templates = {"hunkwise.yml": "review"}
    if options.dispatch:
        templates["hunkwise-by-number.yml"] = "by-number"
    if options.forks == "pull-request-target":
        templates["hunkwise-forks.yml"] = "forks"
    elif options.forks != "no":
        templates["hunkwise-forks.yml"] = "review"
    if options.forks == "two-workflows":
        templates["hunkwise-forks-publish.yml"] = "forks-publish"
    if options.audit != "no":
        templates["hunkwise-audit.yml"] = "audit" if options.audit == "weekly" else "audit-matrix"
    if options.commands:
        templates["hunkwise-commands.yml"] = "commands"
    values = {
        **asdict(options),
        "secret": options.secret or DEFAULT_SECRETS.get(options.auth),
        "model_inputs": _model_inputs(options),
        "port": (options.url or DEFAULT_URLS.get(options.auth, "")).rpartition(":")[2],
        "cli_version": CLI_VERSION,
        "oldest_cli": ".".join(map(str, OLDEST_VERSION)),
        "repository": action.repository,
        "reference": action.pin,
        "released": action.is_release,
        "enterprise_server": enterprise_server,
    }
    return {
        f"{_FOLDER}/{name}": _render(template, {**values, "file_of_forks": "forks" in name})
        for name, template in templates.items()
    }


def _model_inputs(options: SetupOptions) -> dict[str, str]:
    """Returns the inputs that reach the model, as YAML, with comments."""
    auth = options.auth
    secret = f"${{{{ secrets.{options.secret or DEFAULT_SECRETS.get(auth)} }}}}"
    url = json.dumps(options.url) if options.url else DEFAULT_URLS.get(auth, "")
    model = json.dumps(options.model) if options.model else DEFAULT_MODELS.get(auth)
    models = {"model": model} if model else {}
    match auth:
        case "organization":
            return models
        case "token":
            return {"copilot-token": secret, **models}
        case "running-cli":
            comment = "several, separated by commas, share the questions"
            return {"copilot-url": f"{url} # {comment}", "copilot-connection-token": secret, **models}
        case "openai":
            comment = "" if options.url else " # or another server with the same API"
            return {"provider-base-url": url + comment, "provider-api-key": secret, **models}
    version = {"provider-azure-api-version": '"2024-10-21" # leave it out for Azure\'s v1 API'}
    return {
        "provider-type": auth,
        "provider-base-url": url,
        **(version if auth == "azure" else {}),
        "provider-api-key": secret,
        **models,
    }


@cache
def _environment() -> jinja2.Environment:
    # GitHub's expressions are ${{ }}, so the templates use other marks. The output is YAML, which nothing escapes.
    return jinja2.Environment(  # noqa: S701
        loader=jinja2.PackageLoader("hunkwise.commands", "workflows"),
        undefined=jinja2.StrictUndefined,
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        line_statement_prefix="%",
        trim_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value.rstrip("\n") if isinstance(value, str) else value,  # of macros
    )


def _render(template: str, values: Mapping[str, object]) -> str:
    text = _environment().get_template(f"{template}.yml.j2").render(values)
    return re.sub(r"(?m)^ +\n", "", text)  # optional lines that are empty


def configuration(options: SetupOptions, action: ActionReference = PLACEHOLDER) -> str:
    """Returns the text of `.github/hunkwise.yml`: most keys are comments that show their default."""
    active = {"version": "1"} | ({"fail-on": options.fail_on} if options.fail_on != "none" else {})
    intro = (
        "The configuration of hunkwise. A review reads it at the base commit of the pull request, an audit at the"
        " commit that it audits. To change a setting, remove the # before its key; what follows it is the default."
    )
    page = "docs/configuration.md of hunkwise"
    if action.is_release:
        page = f"https://github.com/{action.repository}/blob/{action.sha}/docs/configuration.md"
    lines = [*_comment(intro), *_comment(f"All keys: {page}"), "# `hunkwise config check` checks this file."]
    for key in shape_at(Config, ())["properties"]:
        if key not in _RARE_KEYS:
            setting = (
                [f"{key}: {active[key]}"] if key in active else [f"#{line}" for line in _setting((key,))]
            )
            lines += ["", *_description((key,)), *setting]
    return "\n".join(lines) + "\n"


def _description(loc: tuple[str, ...]) -> list[str]:
    shape = shape_at(Config, loc)
    values = "" if "properties" in shape else f" Values: {describe_expected(shape)}."
    default = f" Default: {shape['unset']}." if "unset" in shape else ""
    return _comment(shape["description"] + values + default)


def _setting(loc: tuple[str, ...]) -> list[str]:
    """Returns the lines of a key with its default, and of its own keys with theirs; none if it has no default."""
    shape = shape_at(Config, loc)
    if "properties" not in shape:
        value = _default(loc, shape)
        return [f"{loc[-1]}: {value}"] if value else []
    inner = {(*loc, key): _setting((*loc, key)) for key in shape["properties"]}
    lines = [line for place, setting in inner.items() if setting for line in (*_description(place), *setting)]
    return [f"{loc[-1]}:", *(f"  {line}" for line in lines)]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)]


def _default(loc: tuple[str, ...], shape: Shape) -> str:
    """Returns the default of a key as YAML; empty if it has none that a file can name."""
    if loc == ("prompts",):
        return json.dumps([prompt.name for prompt in Config().prompts])
    match shape:
        case {"unset": _, "type": "string"}:
            return "ID"
        case {"default": float(value)}:
            return f"{value:g}"
        case {"default": str(value)} if re.fullmatch("[a-z-]+", value):
            return value
        case {"default": value}:
            return json.dumps(value)
        case {"anyOf": [_, {"const": str(word)}]}:
            return word
    return ""


def setup_files(
    options: SetupOptions, action: ActionReference, *, enterprise_server: bool = False
) -> dict[str, str]:
    """Returns the texts of all files that `hunkwise init` writes, by their paths in a repository."""
    workflows = workflow_files(options, action, enterprise_server=enterprise_server)
    return {**workflows, DEFAULT_CONFIG_PATH: configuration(options, action)}
