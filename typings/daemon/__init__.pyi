# What this project uses of python-daemon 3, which ships no types.
from collections.abc import Callable, Mapping
from types import FrameType
from typing import IO, Any, Self

class DaemonContext:
    def __init__(
        self,
        *,
        working_directory: str = ...,
        umask: int = ...,
        prevent_core: bool = ...,
        detach_process: bool | None = ...,
        files_preserve: list[int] | None = ...,
        stdin: IO[Any] | None = ...,
        stdout: IO[Any] | None = ...,
        stderr: IO[Any] | None = ...,
        signal_map: Mapping[Any, Callable[[int, FrameType | None], object] | str | None] | None = ...,
    ) -> None: ...
    def open(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
