"""Makes the folder that the sidecar takes for /: `sidecar_tree.py PACKAGES TREE`, inside of the image's build.

PACKAGES is where the CLI was unpacked (`pkg/linux-…/VERSION`). Its files are taken as they are, whole; beside them
come the C library that the runtime needs, certificates, names of users, and an empty folder for homes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

UID = 10001
_LOADED_BY_NAME = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
"""The C library opens them for host names, where this version of it has them as files."""
_NEEDED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_USERS = f"root:x:0:0:root:/:/nonexistent\ncopilot:x:{UID}:{UID}::/nonexistent:/nonexistent\n"
_GROUPS = f"root:x:0:\ncopilot:x:{UID}:\n"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def main(packages: Path, tree: Path) -> int:
    """0, or 1 where the package is not the one that is expected."""
    runtimes = sorted(packages.glob("pkg/*/*/prebuilds/*/copilot-runtime"))
    if len(runtimes) != 1 or not runtimes[0].with_name("runtime.node").is_file():
        print(
            f"{packages} holds {len(runtimes)} runtimes of the Copilot CLI instead of one.", file=sys.stderr
        )
        return 1
    runtime = runtimes[0]
    tree.mkdir(parents=True)
    shutil.copytree(packages / "pkg", tree / "copilot" / "pkg", symlinks=True)
    for library in _libraries((runtime, runtime.with_name("runtime.node"))):
        _place(library, tree)
    _furnish(tree)
    # The runtime looks itself up here; there is no /proc in the tree.
    link = tree / "proc" / "self" / "exe"
    link.parent.mkdir(parents=True)
    link.symlink_to("/copilot" / runtime.relative_to(packages))
    _open_to_readers(tree)
    (tree / "home").mkdir(mode=0o711)  # homes are made in it at run time; it cannot be listed
    (tree / "home").chmod(0o711)
    return 0


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """What the programs load. Raises CalledProcessError, and ValueError for a library that is missing."""
    found: set[Path] = set()
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        if "not found" in told:
            raise ValueError(f"{program} needs what is not installed:\n{told}")
        found |= {Path(path) for path in _NEEDED.findall(told)}
    folder = next(path.parent for path in found if path.name.startswith("libc.so"))
    found |= {folder / name for name in _LOADED_BY_NAME if (folder / name).is_file()}
    return sorted(found)


def _place(library: Path, tree: Path) -> None:
    """Where it is in Debian: /lib and /lib64 lead into /usr there, and so in the tree."""
    target = tree / (library.parent.resolve() / library.name).relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(library, target)
    top = tree / library.parts[1]
    if not top.exists():
        top.symlink_to(Path("/", library.parts[1]).readlink())


def _furnish(tree: Path) -> None:
    etc = tree / "etc"
    (tree / _CERTIFICATES).parent.mkdir(parents=True)
    shutil.copyfile(Path("/") / _CERTIFICATES, tree / _CERTIFICATES)
    (etc / "passwd").write_text(_USERS)
    (etc / "group").write_text(_GROUPS)
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")


def _open_to_readers(tree: Path) -> None:
    """The sidecar's user reads everything, and writes nothing."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
