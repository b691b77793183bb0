"""Isolation of the sidecar: with root, a separate user and root folder, and an error where that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import UID, Isolation, copy_certificates, find_isolation
from hunkwise.copilot.isolation_probe import outcome, probe_isolation, tries
from hunkwise.copilot.sidecar import MAX_PROCESSES, Sidecar
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.programs import NOWHERE, alive, started, until
from tests.copilot.sessions import environ
from tests.copilot.sidecar_root import add_libraries, image_environ, root_folder

WE_ARE_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with root_folder(tmp_path_factory.mktemp("image")) as folder:
        yield folder


def perl(root: Path, program: str) -> Sidecar:
    """Returns a sidecar that runs a Perl program as the isolated user."""
    if not (root / "perl").exists():
        shutil.copy("/usr/bin/perl", root / "perl")
        add_libraries(root, root / "perl")
    path = root / "copilot" / "program"
    path.write_text(f"#!/perl\n$| = 1;\n{program}\n")
    path.chmod(0o755)
    variables = image_environ(root, COPILOT_CLI_PATH=str(path))
    return Sidecar(find_cli(variables), NOWHERE, variables)


def status(pid: int | None) -> dict[str, str]:
    """Returns the fields of `/proc/PID/status`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def test_no_isolation_outside_of_the_image() -> None:
    assert find_isolation(environ()) is None


def test_isolation_requires_root(root: Path) -> None:
    found = find_isolation(image_environ(root))
    assert found == (Isolation(root) if WE_ARE_ROOT else None)


def test_sidecar_runs_as_separate_user_with_root(root: Path) -> None:
    """Without root, the same environment starts it as the current user."""
    variables = image_environ(root)
    process = Sidecar(find_cli(variables), NOWHERE, variables)
    with started(process):
        asyncio.run(process.ready())
        fields = status(process.pid)
        own = UID if WE_ARE_ROOT else os.geteuid()
        assert fields["Uid"] == f"{own} {own} {own} {own}"
        if WE_ARE_ROOT:
            assert fields["Gid"] == fields["Uid"]
            assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
            assert (fields["NoNewPrivs"], fields["Groups"]) == ("1", "")
            assert Path(f"/proc/{process.pid}/root").readlink() == root
            assert [home.stat().st_uid for home in (root / "home").iterdir()] == [UID]
    assert not alive(process.pid or 0)
    assert list((root / "home").iterdir()) == []


def test_separate_user_has_a_limit_of_processes(root: Path) -> None:
    if not WE_ARE_ROOT:
        return
    forks = (
        f"for (1 .. {2 * MAX_PROCESSES}) {{ my $pid = fork; die qq(none after $_: $!) unless defined $pid; "
    )
    with started(perl(root, forks + "sleep 600 if !$pid }")) as process:
        assert "Resource temporarily unavailable" in str(asyncio.run(process.exited()))
    assert until(lambda: processes_of(UID) == [])


def test_processes_of_isolated_user_end_before_home_is_deleted(root: Path) -> None:
    """Each process starts others and creates folders until it is killed."""
    if not WE_ARE_ROOT:
        return
    makers = """
        fork; fork; setpgrp; chdir "/";
        for (1 .. 1_000_000) { mkdir "$ENV{HOME}/$$-$_"; exit if fork; wait; setpgrp }
    """
    with started(perl(root, makers)):
        (home,) = (root / "home").iterdir()
        assert until(lambda: len(list(home.iterdir())) > 100)
    assert until(lambda: processes_of(UID) == [])
    assert list((root / "home").iterdir()) == []


def processes_of(uid: int) -> list[Path]:
    """Returns the user's processes, with zombies, which the limit counts."""
    return [path for path in Path("/proc").glob("[0-9]*") if owner(path) == uid]


def owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except FileNotFoundError:  # it has just ended
        return None


def test_missing_root_folder_is_an_error(tmp_path: Path) -> None:
    variables = environ(HUNKWISE_SIDECAR_ROOT=str(tmp_path / "missing"))
    if not WE_ARE_ROOT:
        assert find_isolation(variables) is None
        return
    with pytest.raises(ModelError, match="is not a root folder") as caught:
        find_isolation(variables)
    assert caught.value.kind is ModelKind.SIDECAR


def test_program_outside_of_the_root_folder_is_rejected(root: Path) -> None:
    with pytest.raises(ModelError, match="is outside of"):
        Isolation(root).inside(Path("/usr/bin/copilot"))
    assert Isolation(root).inside(root / "copilot" / "pkg") == Path("/copilot/pkg")


def test_every_escape_attempt_fails_with_root_and_is_not_run_without(root: Path, tmp_path: Path) -> None:
    if not WE_ARE_ROOT:
        with pytest.raises(ModelError, match="could not be set apart"):
            probe_isolation(Isolation(root))
        return
    secret = tmp_path / "workspace"
    secret.mkdir(mode=0o777)
    found = probe_isolation(Isolation(root), [secret])
    assert [one for one in found if not one.held] == []
    assert f"list {secret}" in {one.what for one in found}
    assert len(found) > 30


def test_successful_escape_attempt_is_reported(tmp_path: Path) -> None:
    """Without isolation and against the test's own process, the harmless attempts succeed."""
    attempt = dict(tries(os.getpid(), [str(tmp_path)]))
    for what in (f"list {tmp_path}", f"signal process {os.getpid()}", "see the system's programs"):
        assert outcome(attempt[what]) == ("it could", False)
    assert outcome(attempt["climb out by .."]) == ("No such file or directory", True)


@pytest.mark.parametrize("variables", [{}, {"SSL_CERT_FILE": "/missing", "SSL_CERT_DIR": "/missing:"}])
def test_no_certificates_are_copied_without_any(tmp_path: Path, variables: dict[str, str]) -> None:
    assert copy_certificates(variables, tmp_path) == {}


def test_certificates_are_copied_into_the_root_folder(tmp_path: Path) -> None:
    for folder, names in {"first": ("a.pem", "b.pem"), "second": ("b.pem", "c.pem")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(f"{folder} {name}")
    (tmp_path / "first" / "huge").write_bytes(b"x" * (4 << 20) + b"x")
    (tmp_path / "first" / "folder").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    variables = {
        "SSL_CERT_FILE": str(tmp_path / "first" / "a.pem"),
        "NODE_EXTRA_CA_CERTS": str(tmp_path / "second" / "c.pem"),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "first" / "b.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "first" / "b.pem"),
        "SSL_CERT_DIR": f"{tmp_path / 'first'}:{tmp_path / 'second'}",
    }
    found = copy_certificates(variables, target)
    assert {name: path.read_text() for name, path in found.items() if path.is_file()} == {
        "SSL_CERT_FILE": "first a.pem",
        "NODE_EXTRA_CA_CERTS": "second c.pem",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "first b.pem",
    }
    assert {path.name: path.read_text() for path in found["SSL_CERT_DIR"].iterdir()} == {
        "a.pem": "first a.pem",
        "b.pem": "first b.pem",
        "c.pem": "second c.pem",
    }


def test_certificate_of_the_step_is_readable_for_the_sidecar(root: Path, tmp_path: Path) -> None:
    certificate = tmp_path / "own.pem"
    certificate.write_text("own")
    home = root / "home" / "test"
    home.mkdir()
    try:
        if not WE_ARE_ROOT:
            with pytest.raises(PermissionError):
                Isolation(root).prepare_home(home, {})
            return
        seen = Isolation(root).prepare_home(home, {"SSL_CERT_FILE": str(certificate)})
        assert seen == {"SSL_CERT_FILE": "/home/test/certificates/SSL_CERT_FILE"}
        assert (root / seen["SSL_CERT_FILE"].lstrip("/")).read_text() == "own"
        assert (root / "etc" / "hosts").read_bytes() == Path("/etc/hosts").read_bytes()
        assert home.stat().st_uid == UID
    finally:
        shutil.rmtree(home)
