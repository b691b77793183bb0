"""Fuzzes every target for some seconds, each in a process of its own: `python -m fuzz SECONDS [NAME ...]`."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS, Target

FOLDER = Path("build/fuzz")
"""Where inputs are kept: those that reached new code, by target, and those that a property did not survive."""
_SLOWEST = 10
"""Seconds for one input, from which on it counts as a hang."""
_LARGEST = 2_048
"""MiB for one process."""
_SLICE = 60
"""Seconds after which a process gives way to a new one: the renderer of Markdown never gives memory back."""
_GRACE = 120
"""Seconds that a process may take beyond its time, to start and to end."""
_DONE = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_COVERED = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target."""

    executions: int
    covered: int
    """Edges of the code that some input reached."""
    found: tuple[Path, ...]
    """Inputs on which a property did not hold, that hung, or that took too much memory."""
    said: str
    """The end of what the process wrote."""
    failed: bool


def fuzz(name: str, target: Target, seconds: int) -> Outcome:
    """Fuzzes one target. The corpus of earlier runs is gone on with."""
    folder = (FOLDER / name).resolve()
    corpus, crashes = folder / "corpus", folder / "crashes"
    for each in (corpus, crashes):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number:03}").write_bytes(seed[: target.longest])
    before = set(crashes.iterdir())
    executions = covered = 0
    for start in range(0, seconds, _SLICE):
        code, said = _run(name, target, folder, min(_SLICE, seconds - start))
        done = _DONE.search(said)
        executions += int(done[1]) if done else 0
        covered = max([covered, *map(int, _COVERED.findall(said))])
        failed = code != 0 or done is None
        if failed:
            break
    found = tuple(sorted(set(crashes.iterdir()) - before))
    return Outcome(executions, covered, found, said[-6_000:], failed)


def _run(name: str, target: Target, folder: Path, seconds: int) -> tuple[int, str]:
    """One process: its exit code, and what it wrote."""
    words = folder / "words.txt"
    words.write_bytes(b"".join(b'"' + word.replace(b"\t", b"\\x09") + b'"\n' for word in target.words))
    limits = {
        "max_total_time": seconds,
        "max_len": target.longest,
        "timeout": _SLOWEST,
        "rss_limit_mb": _LARGEST,
        "print_final_stats": 1,
        **({"dict": words} if target.words else {}),
        "artifact_prefix": f"{folder / 'crashes'}/",
    }
    options = [f"-{key}={value}" for key, value in limits.items()]
    command = [sys.executable, "-m", "fuzz.child", name, *options, str(folder / "corpus")]
    log = folder / "log.txt"
    with log.open("wb") as stream:
        ended = subprocess.run(command, stdout=stream, stderr=stream, timeout=seconds + _GRACE, check=False)
    return ended.returncode, log.read_text("utf-8", "replace")


def main(arguments: list[str]) -> int:
    """0 where every property held, 1 where one did not, 2 where the arguments make no sense."""
    seconds, *names = arguments or [""]
    if not (seconds.isdecimal() and int(seconds)) or not set(names) <= set(TARGETS):
        sys.stderr.write(f"python -m fuzz SECONDS [NAME ...], of {', '.join(TARGETS)}\n")
        return 2
    failed = False
    for name in names or TARGETS:
        outcome = fuzz(name, TARGETS[name], int(seconds))
        state = "FAILED" if outcome.failed else "ok"
        print(f"{name:<10} {outcome.executions:>10,} executions {outcome.covered:>6,} edges  {state}")
        if outcome.failed:
            print(outcome.said)
        for path in outcome.found:
            print(f"  kept: {path}\n  again: {sys.executable} -m fuzz.child {name} {path}")
        failed = failed or outcome.failed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
