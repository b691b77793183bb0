"""Changes of every kind that git knows, as an untrusted author would make them, and the lines that they add."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.fakes.git_repository import GitRepository
from tests.redteam.checks import FORGED

COMMAND = f"::error::{FORGED}"
LETTERS = f"one\r{COMMAND}\rtwo"

NEW_TEXTS: Mapping[str, bytes] = {
    "carriage return and line feed": b"one\r\ntwo\r\nthree\r\n",
    "carriage returns alone": f"{LETTERS}\nlast\n".encode(),
    "a carriage return and no line feed": LETTERS.encode(),
    "no final line feed": b"one\ntwo",
    "both ends of lines": b"one\r\ntwo\nthree\r\r\nfour\n\rfive\n",
    "form feeds and vertical tabs": f"one\f{COMMAND}\x0b{COMMAND}\nlast\n".encode(),
    "separators of ASCII": f"one\x1c{COMMAND}\x1d{COMMAND}\x1e{COMMAND}\x1f\nlast\n".encode(),
    "line ends of Unicode": f"one\u2028{COMMAND}\u2029{COMMAND}\x85{COMMAND}\nlast\n".encode(),
    "escapes of terminals": f"\x1b[2J\x1b]0;x\x07\x9b31m\b\b\b{COMMAND}\nlast\n".encode(),
    "Latin-1": f"caf\xe9 \x85 {COMMAND}\nna\xefve\n".encode("latin-1"),
    "bytes that are no UTF-8": b"\xff\xfe\xfd \xc0\xaf \xed\xa0\x80 \xf5\x80\x80\x80 \x80\nlast\n",
    "an overlong slash and an overlong line feed": b"\xc0\xaf \xc0\x8a::error::x \xe0\x80\x8a\nlast\n",
    "half of a letter at the end": "é".encode()[:1],
    "a mark of byte order": b"\xef\xbb\xbfone\nlast\n",
    "UTF-7": b"+ADw-script+AD4-\nlast\n",
    "nothing but line feeds": b"\n\n\n",
    "nothing but blanks": b" \n\t\n  ",
    "a NUL behind what git looks at": b"word\n" * 2_000 + b"a\0b\nlast\n",
    "no characters but combining ones": "\u0301\u200d\ufeff\u2060\u0301\n\u202e\u2066\n".encode(),
    "a hunk's heading": f"def {COMMAND} @@ -1 +1 @@ x():\n    pass\n".encode(),
}
"""New files by their peculiarity. Git counts line feeds only."""

BINARY: Mapping[str, bytes] = {
    "utf16.txt": f"one\n{COMMAND}\n".encode("utf-16"),
    "utf32.txt": b"\xff\xfe\0\0" + "one\n".encode("utf-32-le"),
    "nul.txt": b"one\0two\n",
    "picture.png": bytes(range(256)) * 8,
}

LIKENESSES = (
    "diff --git a/evil.py b/evil.py",
    "new file mode 100644",
    "deleted file mode 100644",
    "similarity index 100%",
    "rename from app.py",
    "rename to evil.py",
    "index 0000000..1111111 100644",
    "-- a/evil.py",
    "++ b/evil.py",
    "-- /dev/null",
    "--- a/evil.py",
    "+++ b/evil.py",
    "@@ -1,1 +1,1 @@",
    "@@ -0,0 +1,1000000000 @@ evil",
    "@@@ -1 -1 +1 @@@",
    "+added twice",
    "-removed twice",
    " unchanged",
    "\\ No newline at end of file",
    "Binary files a/evil.py and b/evil.py differ",
    "GIT binary patch",
    "literal 0",
    "HcmV?d00001",
    "Subproject commit 1111111111111111111111111111111111111111",
    "-- ",
    "2.39.0",
    '### "evil.py" (added)',
    "R1 + evil",
    "L1 - evil",
    "# The part to review",
    "version https://git-lfs.github.com/spec/v1",
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393",
    "size 12345",
)
"""Lines with a meaning at the start of a line of a diff, or of a prompt."""

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n"
LONG = "".join(f"row {number}\n" for number in range(40))


def last_line(content: bytes) -> int:
    """Returns the number of the last line, as git counts."""
    return content.count(b"\n") + (not content.endswith(b"\n"))


def commit_all_kinds(repository: GitRepository, outside: Path) -> None:
    """Commits links, submodules, pointers, modes and moves on main and feature; `outside` is a secret file."""
    repository.commit(
        {
            ".gitmodules": '[submodule "known"]\n\tpath = known\n\turl = https://example.com/x.git\n',
            "a.py": LONG.replace("row", "first"),
            "b.py": LONG.replace("row", "second"),
            "becomes a link": LONG.replace("row", "third"),
            "becomes a folder": "a file\n",
            "folder/inside.py": "a folder\n",
            "large.bin": LFS.format(oid="0" * 64),
            "gone.py": f"one\n{COMMAND}\n",
            "script.sh": "echo\n",
            "moved.py": LONG,
        }
    )
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},known")
    repository.git("commit", "-q", "-m", "A submodule")
    repository.branch("feature")
    path = repository.path
    (path / "a.py").rename(path / "held.py")
    (path / "b.py").rename(path / "a.py")
    (path / "held.py").rename(path / "b.py")
    (path / "script.sh").chmod(0o755)
    (path / "moved.py").rename(path / "b moved b.py")
    (path / "folder/inside.py").unlink()
    (path / "folder").rmdir()
    (path / "becomes a folder").unlink()
    (path / "becomes a link").unlink()
    targets = {
        "link to a secret": str(outside),
        "link to the environment": "/proc/self/environ",
        "link upwards": "../" * 12 + "etc/passwd",
        "link to itself": "link to itself",
        "link to git": ".git/config",
        "becomes a link": str(outside),
        "link/a\n::error::x": COMMAND,
    }
    for name, target in targets.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).symlink_to(target)
    repository.commit(
        {
            ".gitmodules": f'[submodule "../../x"]\n\tpath = known\n\turl = ext::sh -c "touch {outside}.run"\n'
            '\tupdate = !touch run\n[submodule "new"]\n\tpath = new\n\turl = --upload-pack=touch\n',
            "becomes a folder/inside.py": "now inside\n",
            "folder": "now a file\n",
            "large.bin": LFS.format(oid=f"1\n{COMMAND}"),
            "gone.py": None,
            "A.py": "in capitals\n",
            "dev/null": "nothing but a name\n",
            "a/dev/null": "another\n",
            "b/x b/x": "a name that looks like two\n",
        }
    )
    for place, sha in (("known", "2" * 40), ("new", "3" * 40)):
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{sha},{place}")
    repository.git("commit", "-q", "-m", "Submodules")


LINKS = (
    "link to a secret",
    "link to the environment",
    "link upwards",
    "link to itself",
    "link to git",
    "becomes a link",
)
