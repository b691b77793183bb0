"""Defines the commands of hunkwise and their options."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, Final

from hunkwise import __version__
from hunkwise.argument_parser import SHELLS, CommandParser, Commands, add_examples, add_options
from hunkwise.domain.limits import MATRIX_JOBS
from hunkwise.domain.setup import QUESTIONS
from hunkwise.prompt_arguments import add_config, add_eval, add_prompts
from hunkwise.service_arguments import add_serve, add_servers, add_service, add_worker

_REVIEW_SETTINGS: Final = {
    "prompts": ("NAMES", "the prompts to run, such as review,security"),
    "fail-on": ("SEVERITY", "exit with 1 when a finding reaches it"),
    "min-severity": ("SEVERITY", "omit findings below it"),
    "min-confidence": ("N", "list findings with less confidence, 0 to 1, apart from the others"),
    "verify": ("MODE", "whether a second session checks each finding: off, on or strict"),
    "max-credits": ("N", "AI credits of Copilot that the review may use"),
}
"""Options of `review` that are keys of the configuration: metavar and help."""


def build_parser() -> CommandParser:
    """Returns the parser of all commands."""
    parser = CommandParser(
        prog="hunkwise",
        description="Reviews changes and audits repositories with GitHub Copilot, or with a model of your own.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"hunkwise {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add in (
        _add_init,
        _add_review,
        _add_publish,
        _add_audit,
        add_prompts,
        add_config,
        add_eval,
        _add_doctor,
        _add_setup,
        add_serve,
        add_worker,
        add_service,
        add_servers,
        _add_completion,
        _add_action,
    ):
        add(commands)
    add_examples(parser)
    return parser


def _add_action(commands: Commands) -> None:
    commands.add_parser(
        "action",
        help="run as a step of a workflow (what entrypoint.py does)",
        description="For steps of workflows: reads the inputs from the variables INPUT_* and the event from "
        "GITHUB_EVENT_PATH, both set by GitHub's runner, and writes its log, outputs and job summary. It reviews, "
        "audits, publishes, or answers a command in a comment, as the event and the inputs say. Outside of a workflow "
        "use `hunkwise review`.",
    )


def _add_completion(commands: Commands) -> None:
    completion = commands.add_parser(
        "completion",
        help="print the script for completion in a shell",
        description="Prints a script with which the shell completes commands, options, their values and paths. Save "
        "it where the shell looks for such scripts, and start a new shell.",
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def _add_init(commands: Commands) -> None:
    init = commands.add_parser(
        "init",
        help="set up a repository: write its workflows and configuration",
        description="Writes .github/workflows/hunkwise.yml, other workflows that are wanted, and .github/hunkwise.yml "
        "into a clone, and lists what remains to be done on GitHub. Asks for options that are not given, unless "
        "--yes is given or there is no terminal.",
    )
    wanted = init.add_argument_group("what is set up")
    for question in QUESTIONS:
        flag, help_text = f"--{question.field.replace('_', '-')}", question.help.replace("%", "%%")
        if question.is_yes_or_no:
            wanted.add_argument(flag, action=argparse.BooleanOptionalAction, help=help_text)
        else:
            wanted.add_argument(flag, choices=question.answers or None, help=help_text)
    wanted.add_argument(
        "--action", metavar="OWNER/hunkwise@SHA", help="the commit of hunkwise that the workflows use"
    )
    init.add_argument("--yes", action="store_true", help="ask nothing: use the defaults of options not given")
    init.add_argument("--force", action="store_true", help="replace existing files that differ")
    init.add_argument("--print", action="store_true", help="print the files instead of writing them")
    add_options(init, "--repository")


def _add_review(commands: Commands) -> None:
    review = commands.add_parser(
        "review",
        help="review local changes, or a pull request",
        description="Without options: all changes since the merge base with the default branch, committed or not. "
        "Configuration, prompts and instructions are those of the working tree. Posts nothing unless --pr and --post "
        "are given.",
    )
    change = review.add_argument_group("what is reviewed")
    add_options(change, "--base", help="review what came since the merge base with REV")
    add_options(change, "--head", help="review commits up to REV, not the working tree")
    change.add_argument("--committed", action="store_true", help="review commits only, up to HEAD")
    change.add_argument("--staged", action="store_true", help="review staged changes only")
    change.add_argument("--untracked", action="store_true", help="also review files that git does not track")
    add_options(
        change,
        "--pr",
        help="review a pull request on GitHub, read with the token in GITHUB_TOKEN: its URL, OWNER/REPO#N, or its "
        "number in a clone",
    )
    rules = review.add_argument_group("how it is reviewed")
    for name, (metavar, text) in _REVIEW_SETTINGS.items():
        rules.add_argument(
            f"--{name}", action=_StoreSetting, dest="settings", default={}, metavar=metavar, help=text
        )
    add_options(rules, "--model", "--config")
    rules.add_argument(
        "--at-base",
        action="store_true",
        help="use configuration, prompts and instructions of the base commit, as on GitHub",
    )
    review.add_argument("--post", action="store_true", help="with --pr: post the review")
    add_options(review, "--format", choices=("text", "json", "jsonl", "sarif", "markdown", "quickfix"))
    add_options(review, "--quiet", "--repository")


class _StoreSetting(argparse.Action):
    """Stores the text of an option that is a key of the configuration in the dictionary `settings`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # argparse passes it
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        key = (option_string or "").removeprefix("--")
        namespace.settings = {**namespace.settings, key: values}


def _add_publish(commands: Commands) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish the report of a run that could not write",
        description="In a workflow on workflow_run, from the environment of the step, as the input `publish` "
        "does; elsewhere with --pr and GITHUB_TOKEN. Nothing of the pull request's head is run or trusted.",
    )
    publish.add_argument("report", metavar="REPORT", help="the JSON report of that run")
    add_options(publish, "--pr", help="the pull request that it must be about")


def _add_audit(commands: Commands) -> None:
    """Adds `audit` with its subcommands `plan`, `run`, `merge` and `show`; without one it does all three."""
    audit = commands.add_parser(
        "audit",
        help="review a whole repository, the riskiest files first, within a budget",
        description="Reads files of HEAD that were not read before, and lists all open findings of this audit and of "
        "earlier ones. The next call continues. The state is kept in a file in the user's cache, or with --issue in "
        "an issue on GitHub. Nothing is written into the repository.",
    )
    audit.add_argument("--read-again", action="store_true", help="begin a new lap: read everything again")
    _add_audit_options(audit, "--paths", "--model", "--format", "--post", "--baseline", "--issue")
    audit.set_defaults(part=None)
    parts = audit.add_subparsers(metavar="plan|run|merge|show")
    # Options are allowed before a subcommand, whose defaults would replace them.
    add_part = partial(parts.add_parser, argument_default=argparse.SUPPRESS)
    plan = add_part("plan", help="select what is read, and divide it into shards; asks no model")
    plan.add_argument(
        "--shards",
        metavar="N",
        type=_shard,
        default=None,
        help="number of shards (default: one for every 20 model calls, at most 32)",
    )
    plan.add_argument("--read-again", action="store_true", help="begin a new lap: read everything again")
    run = add_part("run", help="read one shard of a plan; writes nothing to GitHub")
    run.add_argument("--shard", metavar="N", type=_shard, required=True, help="number of the shard, from 1")
    merge = add_part("merge", help="merge the reports of all shards; asks no model")
    merge.add_argument(
        "parts", metavar="PART", nargs="*", default=[], help="the shards' reports, or a folder of them"
    )
    show = add_part("show", help="show open findings and coverage; asks no model and writes nothing")
    show.add_argument(
        "issue", metavar="OWNER/REPO", nargs="?", help="read the state from the issue of this repository"
    )
    for parser in (run, merge):
        parser.add_argument("--plan", metavar="FILE", required=True, help="the file that `audit plan` wrote")
    for parser, what in ((plan, "plan"), (run, "report of the shard")):
        parser.add_argument("--out", metavar="FILE", required=True, help=f"write the {what} there")
    _add_audit_options(plan, "--paths", "--model", "--issue")
    _add_audit_options(run, "--model", "--issue")
    _add_audit_options(merge, "--paths", "--format", "--post", "--baseline", "--issue")
    _add_audit_options(show, "--paths", "--format")
    for name, parser in (("plan", plan), ("run", run), ("merge", merge), ("show", show)):
        parser.set_defaults(part=name)


def _add_audit_options(parser: argparse.ArgumentParser, *names: str) -> None:
    default = {} if parser.argument_default is None else {"default": parser.argument_default}
    if "--paths" in names:
        parser.add_argument(
            "--paths", metavar="GLOB", action="append", help="only these files; may be repeated"
        )
    if "--format" in names:
        add_options(parser, "--format", choices=("text", "json", "sarif", "markdown", "quickfix"), **default)
    if "--post" in names:
        parser.add_argument("--post", action="store_true", help="with --issue: write the issue and its state")
    if "--baseline" in names:
        parser.add_argument(
            "--baseline", action="store_true", help="dismiss everything that is new in this audit"
        )
    if "--model" in names:
        add_options(parser, "--model", **default)
    if "--issue" in names:
        parser.add_argument(
            "--issue",
            metavar="OWNER/REPO",
            help="keep the state in the issue of this repository, with the token in GITHUB_TOKEN",
        )
    parser.add_argument(
        "--state", metavar="FILE", help="keep the state in this file (default: in the user's cache)"
    )
    add_options(parser, "--quiet", "--config", "--repository", **default)


def _shard(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MATRIX_JOBS:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {MATRIX_JOBS}")
    return int(text)


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="report what is set up, what is not, and how to fix it",
        description="Checks the inputs in a job, and in a shell the options and variables of `review`. "
        "Posts nothing and spends nothing. Ends with the exit code that a review would end with.",
    )
    doctor.add_argument("--offline", action="store_true", help="connect neither to GitHub nor to a model")
    add_options(doctor, "--format")
    add_options(doctor, "--pr", help="the pull request that is to be reviewed")
    add_options(doctor, "--model", "--config", "--repository")


def _add_setup(commands: Commands) -> None:
    parser = commands.add_parser(
        "setup",
        help="download the Copilot CLI, where hunkwise was installed as a package",
        description="Downloads the Copilot CLI that this version of hunkwise is tested with, by the SDK's own verified "
        "download, into the user's cache. Says from where and how much, and asks first. No other command downloads it.",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
