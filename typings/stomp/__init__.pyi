# What this project uses of stomp.py 9, which ships no types.
from stomp.listener import ConnectionListener as ConnectionListener
from stomp.transport import Transport

class Connection12:
    transport: Transport
    def __init__(
        self,
        host_and_ports: list[tuple[str, int]] | None = ...,
        *,
        prefer_localhost: bool = ...,
        try_loopback_connect: bool = ...,
        reconnect_attempts_max: int = ...,
        timeout: float | None = ...,
        heartbeats: tuple[int, int] = ...,
        vhost: str | None = ...,
        auto_decode: bool = ...,
        auto_content_length: bool = ...,
        heart_beat_receive_scale: float = ...,
    ) -> None: ...
    def set_listener(self, name: str, listener: ConnectionListener) -> None: ...
    def connect(
        self,
        username: str | None = ...,
        passcode: str | None = ...,
        wait: bool = ...,
        headers: dict[str, str] | None = ...,
        with_connect_command: bool = ...,
    ) -> None: ...
    def subscribe(
        self, destination: str, sub_id: str, /, ack: str = ..., headers: dict[str, str] | None = ...
    ) -> None: ...
    def send(
        self, destination: str, body: bytes, content_type: str | None = ..., headers: dict[str, str] | None = ...
    ) -> None: ...
    def ack(self, ack_id: str, /, transaction: str | None = ..., receipt: str | None = ...) -> None: ...
    def send_frame(self, cmd: str, headers: dict[str, str] | None = ..., body: str | bytes = ...) -> None: ...
