"""Makes the Debian packages of a version from the staged trees, by dpkg-deb alone.

    python packaging/deb.py OUT [--version 0.2.0] [--python /usr/bin/python3]

autoreduce-supervisor-VERSION holds the environment, autoreduce-supervisor all else and the link `current`. As with
kernels, an upgrade brings a new one of the first beside the old one; `apt autoremove` takes the old one away later.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import stage

MAINTAINER = "autoreduce-supervisor maintainers <maintainers@autoreduce.invalid>"
SUMMARY = "runs every facility reduction in a limited box, once, and loses none"
#: Files of the service that an administrator edits.
CONFFILES = ("/etc/autoreduce/supervisor.toml", "/etc/logrotate.d/autoreduce-supervisor")
SCRIPTS = ("postinst", "prerm", "postrm")


def payload_name(version: str) -> str:
    """What the package of an environment is called."""
    return f"autoreduce-supervisor-{version}"


def control(name: str, version: str, tree: Path, summary: str, **fields: str) -> str:
    """The control file of a package (deb-control(5))."""
    size = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()) // 1024 + 1
    head = {"Package": name, "Version": version, "Maintainer": MAINTAINER, "Section": "science", "Priority": "optional"}
    lines = {**head, **fields, "Installed-Size": str(size), "Description": summary}
    return "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())


def architecture() -> str:
    """That of this machine: psutil and pydantic bring compiled code."""
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def python_range(python: str) -> str:
    """Which Pythons of the system the environment works with: those of one minor version."""
    say = "import sys; print(sys.version_info[1])"
    minor = int(subprocess.run([python, "-c", say], check=True, capture_output=True, text=True).stdout)
    return f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})"


def build(tree: Path, name: str, version: str, text: str, out: Path) -> None:
    """Pack a tree."""
    meta = tree / "DEBIAN"
    meta.mkdir()
    (meta / "control").write_text(text)
    if name == "autoreduce-supervisor":
        (meta / "conffiles").write_text("".join(f"{path}\n" for path in CONFFILES))
        for script in SCRIPTS:
            words = (stage.ROOT / "packaging" / "debian" / script).read_text().replace("@VERSION@", version)
            (meta / script).write_text(words)
            os.chmod(meta / script, 0o755)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}_{version}_{architecture()}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zxz", "-z1", str(tree), str(target)], check=True)


def main() -> None:
    """Stage and pack both packages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--version", default=stage.project_version())
    options = parser.parse_args()
    version = options.version
    os.umask(0o022)
    made = Path(tempfile.mkdtemp(prefix="autoreduce-deb-"))
    try:
        payload, service = made / "payload", made / "service"
        stage.payload(payload, version, options.python)
        stage.service(service)
        common = {"Architecture": architecture()}
        needs = python_range(options.python)
        build(
            payload,
            payload_name(version),
            version,
            control(payload_name(version), version, payload, f"{SUMMARY} (version {version})", Depends=needs, **common),
            options.out,
        )
        # It is configured after the environment, and the link is switched then: never to what is not there.
        depends = {"Depends": f"{payload_name(version)} (= {version}), systemd"}
        text = control("autoreduce-supervisor", version, service, SUMMARY, **depends, **common)
        build(service, "autoreduce-supervisor", version, text, options.out)
    finally:
        shutil.rmtree(made)


if __name__ == "__main__":
    main()
