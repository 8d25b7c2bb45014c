import selectors
import socket
import threading

from stomp.utils import PollableQueue

class Transport:
    socket: socket.socket | None
    current_host_and_port: tuple[str, int] | None
    running: bool
    blocking: bool
    send_queue: PollableQueue | None
    sel: selectors.BaseSelector | None
    io_thread: threading.Thread | None
