"""Stages what a package installs, below a folder; then any packer puts it together (`make deb`, `make rpm`).

    python packaging/stage.py FOLDER --python /usr/bin/python3 [--version 0.2.0]

Two trees come into being. `payload/` holds a virtual environment at /opt/autoreduce-supervisor/VERSION, complete but
for the system's Python; a package of its own, so that the version before stays while its runs go on. `service/` holds
units, configuration, and the folders of systemd. The link `current` is made when the package is configured, after both
are in place.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = "/opt/autoreduce-supervisor"
SOURCE = ("supervisor", "sandbox", "examples", "etc", "pyproject.toml", "README.md", "LICENSE")
#: Where each file of etc/ goes.
PLACES = {
    "systemd": "usr/lib/systemd/system",
    "sysusers.d": "usr/lib/sysusers.d",
    "tmpfiles.d": "usr/lib/tmpfiles.d",
    "logrotate.d": "etc/logrotate.d",
    "autoreduce": "etc/autoreduce",
    # Ubuntu 24.04 alone knows its abi: it is copied by hand there.
    "apparmor.d": "usr/share/doc/autoreduce-supervisor/apparmor.d",
    "broker": "usr/share/doc/autoreduce-supervisor/broker",
}


def project_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def payload(folder: Path, version: str, python: str) -> None:
    """Make the virtual environment of a version below `folder`, as if it lay in /opt."""
    place = folder / HOME.lstrip("/") / version
    shutil.rmtree(folder, ignore_errors=True)
    place.parent.mkdir(parents=True)
    subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
    with tempfile.TemporaryDirectory() as made:
        source = Path(made)
        for name in SOURCE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / name)
        project = (source / "pyproject.toml").read_text()
        project = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', project, count=1)
        (source / "pyproject.toml").write_text(project)
        pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python3")]
        options = ["--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
        subprocess.run([*pip, "install", *options, str(source)], check=True)
    _relocate(folder, place, f"{HOME}/{version}")


def _relocate(folder: Path, place: Path, home: str) -> None:
    """Have everything in the environment name its last place, and nothing that of its making."""
    kept = {"autoreduce-supervisor", "python", "python3"} | {path.name for path in (place / "bin").glob("python3.*")}
    for path in (place / "bin").iterdir():
        if path.name not in kept:
            path.unlink()  # commands of dependencies, and activate: nothing of ours calls them
    command = place / "bin" / "autoreduce-supervisor"
    command.write_text(command.read_text().replace(str(place), home))
    config = place / "pyvenv.cfg"
    config.write_text(without("command = ", config))
    for direct in place.glob("lib/python3*/site-packages/*.dist-info/direct_url.json"):
        direct.unlink()
        record = direct.with_name("RECORD")
        record.write_text(without("direct_url.json", record))
    for cache in list(place.rglob("__pycache__")):
        shutil.rmtree(cache)
    # Unchecked: nobody may write there afterwards, and a package that unpacks with other times stays valid.
    library = next(place.glob("lib/python3*"))
    compile_all = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/"]
    subprocess.run([str(place / "bin" / "python3"), *compile_all, str(library)], check=True)
    marks = subprocess.run(["grep", "-rlF", str(folder), str(place)], capture_output=True, text=True, check=False)
    if marks.stdout:
        sys.exit(f"these files name the folder in which they were made: {marks.stdout}")


def without(words: str, path: Path) -> str:
    """The lines of a file in which `words` do not stand."""
    return "".join(line for line in path.read_text().splitlines(keepends=True) if words not in line)


def service(folder: Path) -> None:
    """Lay out everything but the environment."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, target in PLACES.items():
        if (ROOT / "etc" / name).is_dir():
            shutil.copytree(ROOT / "etc" / name, folder / target)
    (folder / "usr/bin").mkdir(parents=True)
    os.symlink(f"{HOME}/current/bin/autoreduce-supervisor", folder / "usr/bin/autoreduce-supervisor")
    for page in sorted((ROOT / "build" / "man").glob("*.[58]")):
        section = folder / "usr/share/man" / f"man{page.suffix[1:]}"
        section.mkdir(parents=True, exist_ok=True)
        (section / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
    papers = folder / "usr/share/doc/autoreduce-supervisor"
    papers.mkdir(parents=True, exist_ok=True)
    for name in ("LICENSE", "SECURITY.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, papers / ("copyright" if name == "LICENSE" else name))


def main() -> None:
    """Stage both trees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="/usr/bin/python3", help="the Python of the system that it is for")
    parser.add_argument("--version", default=project_version(), help="say another one (default: of pyproject.toml)")
    options = parser.parse_args()
    os.umask(0o022)
    folder = options.folder.absolute()
    payload(folder / "payload", options.version, options.python)
    service(folder / "service")


if __name__ == "__main__":
    main()
