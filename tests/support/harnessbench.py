"""A bench for the harness: handoff, script and working folder, and the harness in them as a real process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, replace

from sandbox import handoff, harness
from sandbox.handoff import HandoffIn, HandoffOut, HandoffProblem

HARNESS = harness.__file__


@dataclass
class Ended:
    status: int
    claim: HandoffOut | HandoffProblem
    stdout: str
    stderr: str

    @property
    def out(self) -> HandoffOut:
        """Return the claim without its environment, which differs from one interpreter to the next."""
        assert isinstance(self.claim, HandoffOut), (self.claim, self.stderr)
        return replace(self.claim, environment={})

    @property
    def environment(self):
        assert isinstance(self.claim, HandoffOut), (self.claim, self.stderr)
        return self.claim.environment

    def said(self):
        """Return the JSON that the script printed as its last line of output."""
        return json.loads(self.stdout.strip().splitlines()[-1])


class Bench:
    """A handoff folder, a script folder and a working folder, and the harness in them."""

    def __init__(self, root, python):
        self.root, self.python = root, python
        for name in ("handoff", "script", "work", "out"):
            (root / name).mkdir()
        self.script = root / "script" / "reduce.py"
        self.order = HandoffIn(input_files=("/data/ENGINX00075513.nxs",), output_dir="/out", script=str(self.script))

    def run(self, text: str | bytes, env=None, **order) -> Ended:
        """Run the harness on a text; what an earlier run reported is gone before."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.root / "handoff" / handoff.OUT_NAME)
        source = text if isinstance(text, bytes) else text.encode()
        self.script.write_bytes(source)
        order.setdefault("script_sha256", hashlib.sha256(source).hexdigest())
        folder = os.open(self.root / "handoff", os.O_RDONLY)
        try:
            handoff.write(folder, replace(self.order, **order))
            done = subprocess.run(
                [self.python, HARNESS, str(self.root / "handoff")],
                cwd=self.root / "work",
                env={
                    "PATH": os.defpath,
                    "HOME": str(self.root),
                    "LANG": "C.UTF-8",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **(env or {}),
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=100,
            )
            return Ended(
                done.returncode,
                handoff.read(folder),
                done.stdout.decode(errors="replace"),
                done.stderr.decode(errors="replace"),
            )
        finally:
            os.close(folder)
