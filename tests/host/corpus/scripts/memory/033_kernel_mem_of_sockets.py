import socket

# What lies in the buffers of sockets is memory of the run that no process shows as its own.
kept, filled, piece = [], 0, bytes(1 << 15)
try:
    while True:
        kept.append(socket.socketpair())
        for end in kept[-1]:
            end.setblocking(False)
            try:
                while True:
                    filled += end.send(piece)
            except BlockingIOError:
                pass
except OSError as error:
    print("sockets:", error.strerror, len(kept), flush=True)
print("buffers: took", filled >> 20, "MiB", flush=True)
