"""The environment of a script, made from nothing: no variable of ours reaches it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sandbox.linux.proctree import BOX_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where a bare name of a program is looked up.
PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def environment(
    *, token: str, home: str, tmp: str, interpreter: str, threads: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """Returns the whole environment of a script.

    Args:
        token: the box's token, by which what it leaves behind is found again.
        home: private writable folder.
        tmp: private writable folder.
        interpreter: path of the program; its folder comes first in PATH, so that `python` is the same one.
        threads: processors that numerical libraries may use.
        extra: the profile's own variables; they stand above the others, except the token.

    Raises:
        ValueError: a name or value that the kernel cannot pass on.
    """
    folder = os.path.dirname(interpreter)
    variables = {
        "PATH": f"{folder}:{PATH}" if folder and folder not in PATH.split(":") else PATH,
        "HOME": home,
        "TMPDIR": tmp,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": os.path.join(home, ".config", "matplotlib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        # Inputs are read only, and a lock on a network file system can hang (HDF5 1.10 release notes).
        "HDF5_USE_FILE_LOCKING": "FALSE",
        **{f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
        **extra,
        BOX_VARIABLE: token,
    }
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"the variable {name!r} cannot be given to a script: its name or value is not allowed")
    return variables
