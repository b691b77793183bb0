"""Mirrors of repositories: what a job finds in them, what they cost, and that no token stays."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from hunkwise.repository.git import Git
from hunkwise.service.installation import PERMISSIONS
from hunkwise.service.mirror import DEPTH, MOST_FETCHES, UNUSED_DAYS, Mirrors
from tests.fakes.github_app import INSTALLATION
from tests.service.app_world import AppWorld, app_world

PLENTY = 1 << 30


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AppWorld]:
    """Pull request 3 of `octo/first` changes `app.py`."""
    with app_world(tmp_path) as world:
        git = world.git["octo/first"]
        git.branch("feature")
        git.commit({"app.py": "print('needle')\n"})
        world.app.repositories["octo/first"].add_pull_request(3, base_sha="main", head_sha="feature")
        yield world


def mirrors(world: AppWorld, limit: int = PLENTY) -> Mirrors:
    return Mirrors(world.folder / "data", world.url, limit, world.installations)


def token(world: AppWorld, name: str = "octo/first") -> str:
    return world.installations.token(INSTALLATION, name, PERMISSIONS["review"])


def sha(world: AppWorld, revision: str) -> str:
    return world.git["octo/first"].git("rev-parse", revision)


def test_a_job_finds_base_and_head_and_can_search(world: AppWorld) -> None:
    text = token(world)
    place = mirrors(world).prepare("octo/first", 3, text)
    assert place is not None
    git = Git(place)
    base, head = sha(world, "main"), sha(world, "feature")
    assert git.merge_base(base, head) == base
    assert [file.path for file in git.diff(base, head)] == ["app.py"]
    assert git.blob(head, "app.py", 100) == b"print('needle')\n"
    written = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert text.encode() not in written


def test_a_push_is_fetched_into_the_same_mirror(world: AppWorld) -> None:
    own, repository = mirrors(world), world.git["octo/first"]
    first = own.prepare("octo/first", 3, token(world))
    head = repository.commit({"app.py": "print('other')\n"})
    world.app.repositories["octo/first"].push(3, head)
    again = own.prepare("octo/first", 3, token(world))
    assert first == again
    assert again is not None
    assert Git(again).has(head)


def test_a_review_fetches_a_part_of_the_history_and_an_audit_all_of_it(world: AppWorld) -> None:
    repository = world.git["octo/first"]
    repository.git("checkout", "-q", "main")
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        f"{'from refs/heads/main^0' if number == 0 else ''}\n"
        for number in range(DEPTH + 20)
    )
    (world.folder / "stream").write_text(stream)
    repository.git("-c", "alias.import=!git fast-import --quiet < ../../stream", "import")
    repository.git("update-ref", "refs/heads/feature", "main")
    pull = world.app.repositories["octo/first"].hub.pulls[3]
    pull.base_sha = pull.head_sha = sha(world, "main")
    own = mirrors(world)
    oldest = f"main~{DEPTH + 20}"
    place = own.prepare("octo/first", 3, token(world))
    assert place is not None
    assert not Git(place).has(sha(world, oldest))
    audited = own.prepare("octo/first", 0, token(world))
    assert audited is not None
    assert Git(audited).has(sha(world, oldest))


def test_without_a_mirror_a_job_goes_on(world: AppWorld, caplog: pytest.LogCaptureFixture) -> None:
    own = mirrors(world)
    assert own.prepare("octo/first", 99, token(world)) is None
    assert own.prepare("octo/second", 0, token(world)) is None, "the token is for another repository"
    (world.folder / "data/mirrors").rename(world.folder / "data/away")
    (world.folder / "data/mirrors").write_text("a file")
    assert own.prepare("octo/first", 3, token(world)) is None
    assert len(caplog.records) == 3
    assert "ghs_" not in caplog.text


def test_remains_of_a_fetch_that_was_killed_are_deleted(world: AppWorld) -> None:
    own = mirrors(world)
    place = own.prepare("octo/first", 3, token(world))
    assert place is not None
    remains = [place / ".git" / name for name in ("shallow.lock", "refs/hunkwise/pull/3/head.lock")]
    remains.append(place / ".git/objects/pack/tmp_pack_x")
    for path in remains:
        path.write_text("")
    head = world.git["octo/first"].commit({"app.py": "print('other')\n"})
    world.app.repositories["octo/first"].push(3, head)
    assert own.prepare("octo/first", 3, token(world)) == place
    assert Git(place).has(head)
    assert not any(path.exists() for path in remains)


def test_mirrors_beyond_the_limit_are_deleted_except_those_in_use(world: AppWorld) -> None:
    own, other_process = mirrors(world, limit=1), mirrors(world, limit=1)
    first = own.prepare("octo/first", 3, token(world))
    second = own.prepare("octo/second", 0, token(world, "octo/second"))
    assert first is not None
    assert second is not None
    own.release(second)
    assert mirrors(world).trim() == 0, "a large limit"
    assert other_process.trim() == 1
    assert (first.exists(), second.exists()) == (True, False)
    assert Git(first).has(sha(world, "feature"))
    own.prepare("octo/first", 3, token(world))
    own.release(first)
    assert own.trim() == 0, "another job still uses it"
    own.release(first)
    assert own.trim() == 1


def test_a_mirror_is_made_anew_after_many_fetches(world: AppWorld) -> None:
    own = mirrors(world)
    place = own.prepare("octo/first", 3, token(world))
    assert place is not None
    own.release(place)
    packs = place / ".git/objects/pack"
    assert len([*packs.glob("*.pack")]) == 1
    for number in range(MOST_FETCHES - 1):
        assert own.trim() == 0 or number == 0
        (packs / f"pack-{number}.pack").write_bytes(b"")
    assert own.trim() == 1
    assert own.prepare("octo/first", 3, token(world)) == place


def test_a_mirror_that_no_job_has_used_for_long_is_deleted(world: AppWorld) -> None:
    own = mirrors(world)
    place = own.prepare("octo/first", 3, token(world))
    assert place is not None

    def trimmed(days: int) -> int:
        os.utime(place, (time.time() - days * 86_400,) * 2)
        return own.trim()

    assert trimmed(UNUSED_DAYS + 1) == 0, "a job still uses it"
    own.release(place)
    assert (trimmed(UNUSED_DAYS - 1), trimmed(UNUSED_DAYS + 1), place.exists()) == (0, 1, False)


def test_jobs_of_one_repository_fetch_one_after_another(world: AppWorld) -> None:
    head = sha(world, "feature")
    for number in range(4, 8):
        world.app.repositories["octo/first"].add_pull_request(number, base_sha="main", head_sha="feature")
    texts = [token(world) for _ in range(4)]
    own = [mirrors(world), mirrors(world)]
    with ThreadPoolExecutor(4) as pool:
        places = [*pool.map(lambda n: own[n % 2].prepare("octo/first", 4 + n, texts[n]), range(4))]
    assert len(set(places)) == 1
    assert places[0] is not None
    assert Git(places[0]).has(head)


class _Commits:
    def shas(self, repository: str, number: int, token: str) -> tuple[str, ...]:
        return "a" * 40, "b" * 40


def test_a_fetch_from_a_server_that_hangs_ends_with_the_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(2) as threads:
        silent.settimeout(10)
        own = Mirrors(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", PLENTY, _Commits())
        fetching = [threads.submit(own.prepare, "octo/first", 1, "token") for _ in range(2)]
        with closing(silent.accept()[0]):
            own.stop()
            assert [one.result(10) for one in fetching] == [None, None]
