"""The command line, and the one place where an Error becomes words and an exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from hunkwise import __version__
from hunkwise.commands.host_faults import host_fault
from hunkwise.errors import Error, SettingsError
from hunkwise.publish.characters import plain

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_PULL_REQUEST = "OWNER/REPO#N"
_UNKNOWN_HINT = "This is a fault of hunkwise's own: please report it with the lines above."


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Runs a command and returns its exit code (CONTRACT.md: 0 to 4)."""
    gc.disable()  # until all is imported and read (run.py): nothing of that is garbage
    _open_streams()
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    if arguments.command == "action":
        return _action(environ)
    if arguments.command == "publish" and not arguments.pr:
        return _action({**environ, "INPUT_PUBLISH": arguments.report})
    return _local(arguments, environ)


def _action(environ: Mapping[str, str]) -> int:
    from hunkwise.commands.action import Action

    action = Action(environ, sys.stdout)
    try:
        return int(action.run())
    except Error as error:
        action.fail(error)
        return error.exit_code
    except Exception as error:
        action.fail(unforeseen(error))
        return 3
    finally:
        _let_go()


def _local(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    _take_any_character()
    try:
        code = int(_command(arguments.command)(arguments, environ))
        sys.stdout.flush()
        return code
    except Error as error:
        faults = error.faults if isinstance(error, SettingsError) else (str(error),)
        for fault in faults:
            _complain(plain(f"hunkwise: {fault}"))
        return error.exit_code
    except BrokenPipeError:
        return 3  # whoever read the report has had enough
    except Exception as error:
        _complain(plain(f"hunkwise: {unforeseen(error)}"))
        return 3
    finally:
        _let_go()


def _command(name: str) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    """What carries a command out. Imported here, each with what it needs."""
    if name == "doctor":
        from hunkwise.commands.doctor import doctor

        return doctor
    if name == "eval":
        from hunkwise.commands.evaluate import evaluate

        return evaluate
    if name in ("config", "prompts"):
        from hunkwise.preview.commands import preview

        return preview
    from hunkwise.commands.local import publish, review

    return publish if name == "publish" else review


def _take_any_character() -> None:
    """A terminal that lacks a character shows its code; printing never fails for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Puts nothing where a standard stream was closed: else the next file or socket would be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.fdopen(os.open(os.devnull, os.O_RDWR), "r+", encoding="utf-8")
            if nothing.fileno() != number:
                os.dup2(nothing.fileno(), number)
            setattr(sys, name, nothing)


def _let_go() -> None:
    """What is still buffered for a reader who is gone has nowhere to go, and must not change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complain(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody listens: the exit code says it
        print(text, file=sys.stderr)


def unforeseen(error: Exception) -> Error:
    """Where it happened goes to the log; the message alone could be anybody's text."""
    if (fault := host_fault(error)) is not None:
        return fault
    for frame in traceback.extract_tb(error.__traceback__):
        _complain(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    return Error(f"{type(error).__name__}: {error}.", _UNKNOWN_HINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hunkwise", description="Reviews changes with GitHub Copilot, or with a model of your own."
    )
    parser.add_argument("--version", action="version", version=f"hunkwise {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("action", help="run as a step of a workflow (what entrypoint.py does)")
    _add_review(commands)
    _add_publish(commands)
    _add_prompts(commands)
    _add_config(commands)
    _add_eval(commands)
    _add_doctor(commands)
    return parser


def _add_review(commands: _Commands) -> None:
    review = commands.add_parser(
        "review",
        help="review a range of commits, or a pull request",
        description="Without options: the merge base with the default branch up to HEAD. Posts nothing "
        "unless --pr and --post are given.",
    )
    review.add_argument("--base", metavar="REV", help="review what came since the merge base with REV")
    review.add_argument("--head", metavar="REV", default="HEAD", help="the last commit (default: HEAD)")
    review.add_argument("--pr", metavar=_PULL_REQUEST, help="review a pull request on GitHub")
    review.add_argument("--post", action="store_true", help="with --pr: post the review")
    review.add_argument(
        "--format",
        choices=("text", "json", "sarif", "markdown"),
        default="text",
        help="default: text for people",
    )
    _add_settings(review)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What a review goes by in a shell, and a checkup too."""
    parser.add_argument(
        "--model", metavar="ID", help='a model id, or "demo": fixed rules that need no account'
    )
    parser.add_argument("--config", metavar="PATH", help="the configuration (default: .github/hunkwise.yml)")
    parser.add_argument("--repository", metavar="DIR", default=".", help="the checkout (default: here)")


def _add_publish(commands: _Commands) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish the report of a run that could not write",
        description="In a workflow on workflow_run, from the environment of the step, as the input `publish` "
        "does; elsewhere with --pr and GITHUB_TOKEN. Nothing of the pull request's head is run or trusted.",
    )
    publish.add_argument("report", metavar="REPORT", help="the JSON report of that run")
    publish.add_argument("--pr", metavar=_PULL_REQUEST, help="the pull request that it must be about")


def _add_prompts(commands: _Commands) -> None:
    from hunkwise.preview.options import add_prompts

    prompts = commands.add_parser(
        "prompts",
        help="list, show and preview prompts, without asking a model",
        description="Shows prompts as they are and as they would be sent. No Copilot CLI is started and no model "
        "asked.",
    )
    add_prompts(prompts)


def _add_config(commands: _Commands) -> None:
    from hunkwise.preview.options import add_config

    config = commands.add_parser(
        "config",
        help="show the configuration with where each value came from, or check it",
        description="Shows or checks what a review would go by. No Copilot CLI is started and no model asked.",
    )
    add_config(config)


def _add_eval(commands: _Commands) -> None:
    from hunkwise.commands.evaluate_arguments import add_eval

    evaluation = commands.add_parser(
        "eval",
        help="measure prompts and model by cases with known faults",
        description="Reviews known changes with the configuration and prompts of the working tree, and says how "
        "much of what should be found was found (docs/evaluating.md).",
    )
    add_eval(evaluation)
    _add_settings(evaluation)


def _add_doctor(commands: _Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is set up, what is not, and how to mend it",
        description="In a job the inputs count, in a shell the options and variables that `review` goes by. "
        "Posts nothing and spends nothing. Ends with the exit code that a review would end with.",
    )
    doctor.add_argument("--offline", action="store_true", help="ask neither GitHub nor a model")
    doctor.add_argument("--format", choices=("text", "json"), default="text", help="default: text for people")
    doctor.add_argument("--pr", metavar=_PULL_REQUEST, help="the pull request that is to be reviewed")
    _add_settings(doctor)
