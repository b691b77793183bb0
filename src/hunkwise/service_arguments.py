"""Defines the commands of the service and of its Copilot CLIs: `serve`, `worker`, `service` and `servers`."""

from __future__ import annotations

import argparse
import shlex
from datetime import timedelta

from hunkwise.argument_parser import Commands, add_options


def add_serve(commands: Commands) -> None:
    """Adds `serve`."""
    serve = commands.add_parser(
        "serve",
        help="run as a service: receive the webhooks of a GitHub App",
        description="Serves the webhooks of a GitHub App, a status page, /healthz and /readyz, and queues jobs, which "
        "workers run. Settings are variables HUNKWISE_…; see docs/service.md. Without HUNKWISE_DATABASE_URL it uses "
        "an embedded PostgreSQL in HUNKWISE_DATA.",
    )
    serve.add_argument("--worker", action="store_true", help="run jobs too, in the same process")
    serve.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        type=_address,
        default=("127.0.0.1", 8000),
        help="where webhooks are received (default: 127.0.0.1:8000)",
    )
    _add_metrics(serve)


def add_worker(commands: Commands) -> None:
    """Adds `worker`."""
    worker = commands.add_parser(
        "worker",
        help="run the jobs of the service",
        description="Runs the jobs that `hunkwise serve` queues, HUNKWISE_PARALLEL at a time. Any number of workers "
        "may run, on any number of machines. SIGTERM ends it: what runs then is done by another worker.",
    )
    _add_metrics(worker)


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        metavar="[HOST:]PORT",
        type=_address,
        help="serve metrics for Prometheus and the status page there",
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise argparse.ArgumentTypeError("it must be a port, or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def add_service(commands: Commands) -> None:
    """Adds `service` with its subcommands."""
    service = commands.add_parser(
        "service",
        help="prepare and check the service, list and cancel its jobs",
        description="Uses the database of HUNKWISE_DATABASE_URL, or the embedded one in HUNKWISE_DATA.",
    )
    parts = service.add_subparsers(dest="part", metavar="migrate|check|jobs|cancel", required=True)
    parts.add_parser(
        "migrate", help="create the tables that are missing; to be called once, and after an update"
    )
    parts.add_parser("check", help="check the settings, the database and the GitHub App")
    add_options(parts.add_parser("jobs", help="list the jobs that wait or run"), "--format")
    cancel = parts.add_parser("cancel", help="cancel a waiting job, or end a running one")
    cancel.add_argument(
        "job", metavar="JOB", type=_number, help="its number, which `hunkwise service jobs` shows"
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) < 2**63:
        raise argparse.ArgumentTypeError("it must be the number of a job")
    return int(text)


def add_servers(commands: Commands) -> None:
    """Adds `servers` with its subcommands."""
    servers = commands.add_parser(
        "servers",
        help="check, clean and restart Copilot CLIs that run as servers",
        description="Copilot CLIs that were started by `copilot --headless --port PORT`. Their connection token is in "
        "the file that HUNKWISE_COPILOT_CONNECTION_TOKEN_FILE names, or in COPILOT_CONNECTION_TOKEN. Without an "
        "address those of HUNKWISE_COPILOT_URLS are meant.",
    )
    parts = servers.add_subparsers(dest="part", metavar="check|clean|drain|recycle", required=True)
    check = parts.add_parser(
        "check",
        help="print the version of each server; exit with 1 if one does not answer",
        description="For a health check too: it sends no prompt and costs nothing.",
    )
    clean = parts.add_parser(
        "clean",
        help="delete old sessions of hunkwise, which runs that were killed have left",
        description="Sessions of other programs are kept. The service does so each hour.",
    )
    clean.add_argument(
        "--older",
        metavar="TIME",
        type=_duration,
        default=timedelta(hours=24),
        help="since the last change of a session, such as 90m, 24h or 7d; at least 1h (default: 24h)",
    )
    clean.add_argument(
        "--home",
        metavar="DIR",
        help="the COPILOT_HOME of a server on this machine: also delete locks that are older than a day",
    )
    drain = parts.add_parser(
        "drain",
        help="give a server no new jobs, and wait until nothing uses it",
        description="Uses the database of the service, and HUNKWISE_COPILOT_URLS. Waits for jobs that began before.",
    )
    drain.add_argument("--undo", action="store_true", help="take the server back into use")
    recycle = parts.add_parser(
        "recycle",
        help="restart servers, one after another, without losing a job",
        description="Drains a server, runs the command, waits until the server answers, and takes it back into use; "
        "then the next one. A Copilot CLI cannot be ended by a request, so the command has to restart it.",
    )
    recycle.add_argument(
        "--restart",
        metavar="COMMAND",
        type=_words,
        required=True,
        help="restarts one server; {host} and {port} are replaced",
    )
    for parser, number in ((check, "*"), (clean, "*"), (drain, 1), (recycle, "*")):
        parser.add_argument(
            "addresses", metavar="HOST:PORT", nargs=number, type=_server, help="where the server listens"
        )


def _server(text: str) -> str:
    from hunkwise.settings.parsing import parse_host_port  # only this command needs it

    try:
        return parse_host_port(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{text} {fault}") from fault


def _words(text: str) -> list[str]:
    """Returns a command's words, as a shell divides them."""
    try:
        words = shlex.split(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"it is no command: {str(fault).lower()}") from fault
    if not words:
        raise argparse.ArgumentTypeError("it is empty")
    return words


def _duration(text: str) -> timedelta:
    number, unit = text[:-1], {"m": 60, "h": 3_600, "d": 86_400}.get(text[-1:], 0)
    if not number.isascii() or not number.isdecimal() or not 3_600 <= int(number) * unit <= 366 * 86_400:
        raise argparse.ArgumentTypeError("it must be a time from 1h to 366d, such as 90m, 24h or 7d")
    return timedelta(seconds=int(number) * unit)
