class Frame:
    cmd: str
    headers: dict[str, str]
    body: bytes | None

class PollableQueue:  # a queue.Queue in truth; its shutdown() disagrees with that of Python 3.13's
    def fileno(self) -> int: ...
    def shutdown(self) -> None: ...
