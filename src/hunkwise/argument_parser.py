"""The parser of the command line: help with examples, the nearest name of a misspelt one, and shell completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

SHELLS: Final = ("bash", "zsh", "fish", "tcsh")
_HEADING = "Examples:\n"
_FILES = ("FILE", "PATH", "REPORT", "PART", "CASES")
_FOLDERS = ("DIR",)
EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "": (
        "hunkwise review                        # your changes since the default branch, committed or not",
        "hunkwise review --model demo           # the same with fixed rules, without an account",
        "hunkwise audit                         # the whole repository, part by part",
        "hunkwise doctor                        # what is set up, what is not, how to fix it",
    ),
    "action": (
        "hunkwise action                        # in a step; its inputs are the variables INPUT_*",
        "env INPUT_DRY-RUN=true hunkwise action # the same without posting",
    ),
    "review": (
        "hunkwise review                        # all changes since the default branch, committed or not",
        "hunkwise review --staged --fail-on high",
        "hunkwise review -q --format quickfix   # path:line:column, for an editor",
        "hunkwise review --pr octo/site#12      # a pull request; posts nothing without --post",
    ),
    "publish": (
        "hunkwise publish report.json                     # in a workflow on workflow_run",
        "hunkwise publish report.json --pr octo/site#12   # elsewhere, with GITHUB_TOKEN",
    ),
    "audit": (
        "hunkwise audit                         # the next files; call it again to continue",
        "hunkwise audit --paths 'src/**'        # only these files",
        "hunkwise audit --issue octo/site --post",
        "hunkwise audit show                    # the open findings; asks no model",
    ),
    "audit plan": (
        "hunkwise audit plan --out plan.json",
        "hunkwise audit plan --out plan.json --shards 4 --paths 'src/**'",
    ),
    "audit run": (
        "hunkwise audit run --plan plan.json --shard 1 --out part-1.json",
        "hunkwise audit run --plan plan.json --shard 2 --out part-2.json --model gpt-5",
    ),
    "audit merge": (
        "hunkwise audit merge --plan plan.json part-1.json part-2.json",
        "hunkwise audit merge --plan plan.json parts --format sarif",
    ),
    "audit show": (
        "hunkwise audit show",
        "hunkwise audit show octo/site --format markdown   # from the issue, with GITHUB_TOKEN",
    ),
    "prompts": (
        "hunkwise prompts list",
        "hunkwise prompts show review           # the template of a prompt",
        "hunkwise prompts render review         # what a review would send",
    ),
    "prompts list": ("hunkwise prompts list", "hunkwise prompts list --format json"),
    "prompts show": (
        "hunkwise prompts show security",
        "hunkwise prompts show hunkwise/review --extended   # built in, with all that it includes",
    ),
    "prompts render": (
        "hunkwise prompts render review --base main",
        "hunkwise prompts render review --chunk 1 --system",
        "hunkwise prompts render verify --pr octo/site#12",
    ),
    "config": (
        "hunkwise config check                  # every error as path:line",
        "hunkwise config show                   # every value and its source",
    ),
    "config show": (
        "hunkwise config show",
        "hunkwise config show --base main --format json",
        "hunkwise config show --pr octo/site#12",
    ),
    "config check": ("hunkwise config check", "hunkwise config check --config .github/other.yml"),
    "eval": (
        "hunkwise eval cases --output before.json",
        "hunkwise eval cases --against before.json --max-regression 0.05",
        "hunkwise eval cases/one --model gpt-5 --model gpt-5-mini --html runs.html",
    ),
    "doctor": (
        "hunkwise doctor",
        "hunkwise doctor --offline",
        "hunkwise doctor --pr octo/site#12 --format json",
    ),
    "init": (
        "hunkwise init                          # asks, writes, and says what remains to be done",
        "hunkwise init --yes --auth organization --fail-on high",
        "hunkwise init --print --audit weekly --commands",
    ),
    "setup": (
        "hunkwise setup                         # says what it downloads, and asks",
        "hunkwise setup --yes                   # in a script",
    ),
    "serve": (
        "hunkwise serve --worker                # all in one process, on one machine",
        "hunkwise serve --listen 0.0.0.0:8000   # receives webhooks; workers run elsewhere",
    ),
    "worker": ("hunkwise worker", "hunkwise worker --metrics 0.0.0.0:9000"),
    "service": (
        "hunkwise service migrate               # creates the tables",
        "hunkwise service check                 # settings, database and App",
        "hunkwise service jobs",
    ),
    "service migrate": (
        "hunkwise service migrate",
        "env HUNKWISE_DATABASE_URL=postgresql://db.internal/hunkwise hunkwise service migrate",
    ),
    "service check": (
        "hunkwise service check",
        "env HUNKWISE_APP_ID=4711 HUNKWISE_APP_KEY_FILE=app.pem hunkwise service check",
    ),
    "service jobs": ("hunkwise service jobs", "hunkwise service jobs --format json"),
    "service cancel": (
        "hunkwise service cancel 4711",
        "hunkwise service cancel 4712   # also ends it if it runs",
    ),
    "servers": (
        "hunkwise servers check cli-1:4321 cli-2:4321",
        "hunkwise servers drain cli-1:4321      # then stop it, or move it",
        "hunkwise servers recycle --restart 'systemctl restart copilot-cli@{port}'",
    ),
    "servers check": (
        "hunkwise servers check                 # those of HUNKWISE_COPILOT_URLS",
        "hunkwise servers check 127.0.0.1:4321  # a health check of one",
    ),
    "servers clean": (
        "hunkwise servers clean",
        "hunkwise servers clean 127.0.0.1:4321 --older 7d --home /var/lib/copilot",
    ),
    "servers drain": (
        "hunkwise servers drain cli-1:4321",
        "hunkwise servers drain cli-1:4321 --undo",
    ),
    "servers recycle": (
        "hunkwise servers recycle --restart 'systemctl restart copilot-cli@{port}'",
        "hunkwise servers recycle --restart 'docker compose restart {host}'",
    ),
    "completion": (
        "hunkwise completion bash > ~/.local/share/bash-completion/completions/hunkwise",
        "hunkwise completion zsh > ~/.zfunc/_hunkwise     # with fpath+=~/.zfunc before compinit",
        "hunkwise completion fish > ~/.config/fish/completions/hunkwise.fish",
    ),
}
"""The examples of each command; "" is `hunkwise` itself."""


_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "--model": {"metavar": "ID", "help": 'a model id, or "demo": fixed rules that need no account'},
    "--config": {"metavar": "PATH", "help": "the configuration (default: .github/hunkwise.yml)"},
    "--repository": {"metavar": "DIR", "default": ".", "help": "the checkout (default: here)"},
    "--format": {"choices": ("text", "json"), "default": "text", "help": "output format (default: text)"},
    "--pr": {"metavar": "PR"},
    "--base": {"metavar": "REV"},
    "--head": {"metavar": "REV"},
    "--quiet": {"action": "store_true", "help": "no progress and no notices on standard error"},
}
"""Options that several commands have."""
_SHORT: Final = {"--quiet": ("-q",)}
Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"


class _HelpFormatter(argparse.HelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wraps a text, except examples, whose lines are to be copied."""
        return text if text.startswith(_HEADING) else super()._fill_text(text, width, indent)


class CommandParser(argparse.ArgumentParser):
    """A parser that names the nearest word where a command, an option or a choice is misspelt."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"formatter_class": _HelpFormatter, **keywords})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parses the arguments; an unknown one is an error of the command that it was given to."""
        values, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = (_nearest(word, self._option_string_actions) for word in unknown if word.startswith("-"))
            self.error(f"unrecognized arguments: {' '.join(unknown)}{next(filter(None, near), '')}")
        return values, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            raise argparse.ArgumentError(
                action, f"{error.message}{_nearest(str(value), action.choices or ())}"
            ) from None


def _nearest(word: str, known: Any) -> str:
    from hunkwise.settings.parsing import did_you_mean  # only errors need it

    return did_you_mean(word.partition("=")[0], known)


def subcommands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, CommandParser]]:
    """Yields a command and all commands below it, each with its full name, such as `audit plan`."""
    assert isinstance(parser, CommandParser), "argparse makes subcommands of their parent's class"
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from subcommands(below, f"{name} {word}".strip())


def add_examples(parser: CommandParser) -> None:
    """Adds its examples to the help of each command."""
    for name, command in subcommands(parser):
        command.epilog = _HEADING + "\n".join(f"  {line}" for line in EXAMPLES[name])


def completion_script(parser: CommandParser, shell: str) -> str:
    """Returns the script with which a shell completes commands, options, choices and paths."""
    import shtab

    for _, command in subcommands(parser):
        for action in command._actions:
            names = action.metavar
            if names in _FILES or names in _FOLDERS:
                action.complete = shtab.FILE if names in _FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def add_options(parser: argparse._ActionsContainer, *names: str, **more: Any) -> None:
    """Adds options of `_OPTIONS`; `more` overrides their keywords for this command."""
    for name in names:
        parser.add_argument(*_SHORT.get(name, ()), name, **{**_OPTIONS[name], **more})
