"""The command line. Only this module turns an Error into a message and an exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeAlias

from hunkwise import __version__
from hunkwise.commands.messages import print_message
from hunkwise.errors import Error, host_error
from hunkwise.worker import adopt_orphans

_UNKNOWN_HINT = "This is a fault of hunkwise's own: please report it with the lines above."


def run_process(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command as the only task of this process, and exits with its code."""
    adopt_orphans()
    gc.disable()  # until imports and settings are loaded: none of that is garbage (commands.run enables it)
    code = main(argv)
    gc.freeze()  # the process ends here: the interpreter's final garbage collection takes 0.3 s
    sys.exit(code)


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Runs a command and returns its exit code (0 to 4, see `ExitCode`)."""
    _open_streams()
    arguments = build_parser().parse_args(argv)  # None: those of the process
    if arguments.command == "action":
        return _run_action(environ)
    if arguments.command == "publish" and not arguments.pr:
        return _run_action({**environ, "INPUT_PUBLISH": arguments.report})
    return _run_local(arguments, environ)


def _run_action(environ: Mapping[str, str]) -> int:
    from hunkwise.commands.action import Action

    action = Action(environ, sys.stdout)
    try:
        return int(action.run())
    except Error as error:
        action.fail(error)
        return error.exit_code
    except Exception as error:
        action.fail(unexpected_error(error))
        return 3
    finally:
        _flush_streams()
        action.close()


def _run_local(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    _escape_unencodable()
    try:
        code = int(_import_command(arguments.command)(arguments, environ))
        sys.stdout.flush()
        return code
    except Error as error:
        for fault in error.faults:
            print_message(f"hunkwise: {fault}")
        return error.exit_code
    except BrokenPipeError:
        return 3  # the reader closed the pipe
    except Exception as error:
        print_message(f"hunkwise: {unexpected_error(error)}")
        return 3
    finally:
        _flush_streams()


def _import_command(name: str) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    """Returns the function that runs a command. Imports only the modules that this command needs."""
    if name == "doctor":
        from hunkwise.doctor.command import doctor

        return doctor
    if name == "eval":
        from hunkwise.commands.eval import evaluate

        return evaluate
    if name in ("config", "prompts"):
        return preview
    from hunkwise.commands.review import publish, review

    return publish if name == "publish" else review


def preview(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Runs `hunkwise config …` and `hunkwise prompts …`. Raises Error, also if a signal ends it."""
    from hunkwise.commands.signals import stoppable

    with stoppable("The preview was stopped before it was done."):
        match arguments.command, arguments.part:
            case "config", "show":
                from hunkwise.preview.config import show

                return show(arguments, environ)
            case "config", _:
                from hunkwise.preview.config import check

                return check(arguments)
            case _, "list":
                from hunkwise.preview.prompts import list_prompts

                return list_prompts(arguments)
            case _, "show":
                from hunkwise.preview.prompts import show_prompt

                return show_prompt(arguments)
            case _:
                from hunkwise.preview.prompts import render_prompt

                return render_prompt(arguments, environ)


def _escape_unencodable() -> None:
    """Makes standard streams escape characters that their encoding lacks, so that printing never fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Opens /dev/null for closed standard streams: otherwise the next file or socket would get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.fdopen(os.open(os.devnull, os.O_RDWR), "r+", encoding="utf-8")
            if null.fileno() != number:
                os.dup2(null.fileno(), number)
            setattr(sys, name, null)


def _flush_streams() -> None:
    """Flushes standard output and error; redirects them to /dev/null if that fails, to keep the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unexpected_error(error: Exception) -> Error:
    """Returns the Error for an unexpected exception, and prints its stack frames: the message may be untrusted text."""
    if (fault := host_error(error)) is not None:
        return fault
    for frame in traceback.extract_tb(error.__traceback__):
        print_message(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    return Error(f"{type(error).__name__}: {error}.", _UNKNOWN_HINT)


_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "--model": {"metavar": "ID", "help": 'a model id, or "demo": fixed rules that need no account'},
    "--config": {"metavar": "PATH", "help": "the configuration (default: .github/hunkwise.yml)"},
    "--repository": {"metavar": "DIR", "default": ".", "help": "the checkout (default: here)"},
    "--format": {"choices": ("text", "json"), "default": "text", "help": "default: text for people"},
    "--pr": {"metavar": "OWNER/REPO#N"},
    "--base": {"metavar": "REV"},
    "--head": {"metavar": "REV"},
}
"""Options that several commands have."""
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add(parser: argparse.ArgumentParser, *names: str, **more: Any) -> None:
    """Adds options of `_OPTIONS`; `more` overrides their keywords for this command."""
    for name in names:
        parser.add_argument(name, **{**_OPTIONS[name], **more})


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="hunkwise", description="Reviews changes with GitHub Copilot, or with a model of your own."
    )
    parser.add_argument("--version", action="version", version=f"hunkwise {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("action", help="run as a step of a workflow (what entrypoint.py does)")
    for add in (_add_review, _add_publish, _add_prompts, _add_config, _add_eval, _add_doctor):
        add(commands)
    return parser


def _add_review(commands: _Commands) -> None:
    review = commands.add_parser(
        "review",
        help="review a range of commits, or a pull request",
        description="Without options: the merge base with the default branch up to HEAD. Posts nothing "
        "unless --pr and --post are given.",
    )
    _add(review, "--base", help="review what came since the merge base with REV")
    _add(review, "--head", default="HEAD", help="the last commit (default: HEAD)")
    _add(review, "--pr", help="review a pull request on GitHub")
    review.add_argument("--post", action="store_true", help="with --pr: post the review")
    _add(review, "--format", choices=("text", "json", "sarif", "markdown"))
    _add(review, "--model", "--config", "--repository")


def _add_publish(commands: _Commands) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish the report of a run that could not write",
        description="In a workflow on workflow_run, from the environment of the step, as the input `publish` "
        "does; elsewhere with --pr and GITHUB_TOKEN. Nothing of the pull request's head is run or trusted.",
    )
    publish.add_argument("report", metavar="REPORT", help="the JSON report of that run")
    _add(publish, "--pr", help="the pull request that it must be about")


def _add_prompts(commands: _Commands) -> None:
    """Adds the subcommands `list`, `show NAME` and `render NAME`."""
    prompts = commands.add_parser(
        "prompts",
        help="list, show and preview prompts, without asking a model",
        description="Shows prompts as they are and as they would be sent. No Copilot CLI is started and no model "
        "asked.",
    )
    parts = prompts.add_subparsers(dest="part", required=True, metavar="list|show|render")
    listing = parts.add_parser(
        "list",
        help="all prompts: what they look for, where they come from, whether they run",
        description="Lists the built-in prompts and those of the configuration in the working tree, with their "
        "template, files, severities, budget and tools, and whether the configuration runs them.",
    )
    _add(listing, "--format", "--config", "--repository")
    show = parts.add_parser(
        "show",
        help="the text of a template",
        description="Prints the text of a template. hunkwise/NAME is always the built-in one; partials/NAME is a "
        "partial, base the skeleton of the prompts over a diff.",
    )
    render = parts.add_parser(
        "render",
        help="the exact text of each chunk that a review would send",
        description="Renders a prompt over a range of commits (default: the merge base with the default branch up "
        "to HEAD, as `hunkwise review`) or a pull request, by the code that a review uses. Configuration and "
        "templates are those of the working tree, so that they can be tried before they are committed. "
        "`verify` and `summary` are rendered with example findings, made from the diff. Sizes in tokens are an "
        "estimate: characters divided by 4.",
    )
    for parser in (show, render):
        parser.add_argument("name", metavar="NAME", help="a prompt, as `hunkwise prompts list` names it")
    show.add_argument(
        "--extended", action="store_true", help="also what it extends and includes, in that order"
    )
    _add(show, "--config", "--repository")
    _add(render, "--base", help="what came since the merge base with REV")
    _add(render, "--head", help="the last commit (default: HEAD)")
    _add(render, "--pr", help="a pull request on GitHub, read with the token in GITHUB_TOKEN")
    render.add_argument(
        "--chunk", metavar="N", help="only chunk N; standard output has nothing but its text then"
    )
    render.add_argument("--system", action="store_true", help="the system message, too")
    render.add_argument(
        "--at-base",
        action="store_true",
        help="configuration and templates of the base commit, as a review reads them",
    )
    _add(render, "--format", "--config", "--repository")


def _add_config(commands: _Commands) -> None:
    """Adds the subcommands `show` and `check`."""
    config = commands.add_parser(
        "config",
        help="show the configuration with where each value came from, or check it",
        description="Shows or checks the configuration that a review would use. No Copilot CLI is started and no "
        "model asked.",
    )
    parts = config.add_subparsers(dest="part", required=True, metavar="show|check")
    show = parts.add_parser(
        "show",
        help="every value with where it came from",
        description="Shows every value and its source: default, path:line of the configuration, front matter of a "
        "template, input (INPUT_* in the environment), variable or option. The configuration is that of the "
        "working tree, of a commit (--base), or of the base of a pull request (--pr). Tokens are never shown.",
    )
    _add(show, "--base", help="the configuration of this commit")
    _add(show, "--pr", help="that of the pull request's base, read with the token in GITHUB_TOKEN")
    _add(show, "--model", help="as `hunkwise review --model` would have it")
    _add(show, "--format", "--config", "--repository")
    check = parts.add_parser(
        "check",
        help="find every fault of the configuration and its templates",
        description="Reads the configuration of the working tree and all templates and partials that it names. "
        "Prints ok and what was read, or every fault as path:line, and ends with 0 or 2. Needs no network and no "
        "token: good as a pre-commit hook.",
    )
    _add(check, "--config", "--repository")


def _add_eval(commands: _Commands) -> None:
    parser = commands.add_parser(
        "eval",
        help="measure prompts and model by cases with known faults",
        description="Reviews known changes with the configuration and prompts of the working tree, and says how "
        "much of what should be found was found (docs/evaluating.md).",
    )
    parser.add_argument("cases", metavar="CASES", help="a folder of case folders, or one case")
    parser.add_argument(
        "--judge", metavar="MODEL", help="a model that decides whether two texts say the same"
    )
    parser.add_argument("--against", metavar="FILE", help="compare with an earlier --output")
    parser.add_argument(
        "--max-regression",
        metavar="F1_DROP",
        type=float,
        help="with --against: exit 1 when F1 drops by more (default: 0; 0.05 is five points)",
    )
    tapes = parser.add_mutually_exclusive_group()
    tapes.add_argument("--record", metavar="DIR", help="keep the models' answers there")
    tapes.add_argument("--replay", metavar="DIR", help="take the answers from there: no model, no network")
    parser.add_argument("--output", metavar="FILE", help="write the JSON report there")
    _add(
        parser,
        "--format",
        choices=("text", "json", "markdown"),
        help="what is printed (default: text for people)",
    )
    starts = parser.add_mutually_exclusive_group()
    starts.add_argument(
        "--resume",
        dest="fresh",
        action="store_false",
        help="go on where a run was ended (the default)",
    )
    starts.add_argument("--fresh", action="store_true", help="measure every case again")
    parser.set_defaults(fresh=False)
    parser.add_argument(
        "--parallel", metavar="N", type=int, default=2, help="cases at the same time (default: 2)"
    )
    _add(parser, "--model", "--config", "--repository")


def _add_doctor(commands: _Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="report what is set up, what is not, and how to fix it",
        description="Checks the inputs in a job, and in a shell the options and variables of `review`. "
        "Posts nothing and spends nothing. Ends with the exit code that a review would end with.",
    )
    doctor.add_argument("--offline", action="store_true", help="ask neither GitHub nor a model")
    _add(doctor, "--format")
    _add(doctor, "--pr", help="the pull request that is to be reviewed")
    _add(doctor, "--model", "--config", "--repository")
