"""What a machine lacks is told in words, wherever it is noticed."""

from __future__ import annotations

import errno

import pytest

from hunkwise.domain.review import Coverage, Review, ReviewFault, Usage
from hunkwise.errors import Error, host_error


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (OSError(errno.ENOSPC, "No space", "/tmp/x"), "The disk is full (/tmp/x).", "TMPDIR"),
        (OSError(errno.EDQUOT, "Quota"), "The disk's quota is used up.", "TMPDIR"),
        (OSError(errno.EFBIG, "Large"), "A file has reached the largest size that is allowed here.", "Free"),
        (OSError(errno.EROFS, "Read-only", b"x"), "The disk can be read only.", "mount"),
        (OSError(errno.EMFILE, "Many"), "Too many files are open in this process.", "ulimit"),
        (OSError(errno.ENFILE, "Many"), "Too many files are open on this machine.", "ulimit"),
        (BlockingIOError(errno.EAGAIN, "No"), "No more processes or threads can be started.", "parallel"),
        (RuntimeError("can't start new thread"), "No more processes or threads can be started.", "ulimit"),
        (OSError(errno.ENOMEM, "No"), "There is no memory left.", "machine"),
        (MemoryError(), "There is no memory left.", "machine"),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            "There is no folder for temporary files.",
            "Set TMPDIR",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_machine_lacks_is_told_with_a_remedy(error: Exception, message: str, hint: str) -> None:
    fault = host_error(error)
    assert fault is not None
    assert fault.message == message
    assert hint in fault.hint
    assert fault.exit_code == 3


def test_the_cause_of_an_error_is_looked_at_too() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space")
        except OSError as error:
            raise KeyError("report") from error
    except KeyError as error:
        fault = host_error(error)
    assert fault is not None
    assert fault.message == "The disk is full."


def test_other_errors_are_not_explained_away() -> None:
    in_a_circle = ValueError("no")
    in_a_circle.__context__ = in_a_circle
    for error in (
        in_a_circle,
        RuntimeError("no"),
        FileNotFoundError(errno.ENOENT, "x"),
        OSError("no number"),
    ):
        assert host_error(error) is None


def test_a_shell_has_hints_of_its_own_where_they_differ() -> None:
    both, own = Error("It failed.", "Wait."), Error("It failed.", "Ask the job.", "Ask the shell.")
    assert (both.faults, both.shell_faults) == (("It failed. Wait.",), ("It failed. Wait.",))
    assert (own.faults, own.shell_faults) == (("It failed. Ask the job.",), ("It failed. Ask the shell.",))
    faults = tuple(ReviewFault("x", error.message, error.hint, error.shell_hint) for error in (both, own))
    review = Review("a" * 40, (), Coverage(), Usage(), faults=faults).in_shell()
    assert [fault.hint for fault in review.faults] == ["Wait.", "Ask the shell."]
