import socket

listener = socket.socket(socket.AF_UNIX)
listener.bind("result.nxs")
listener.listen()
print("bind: done")
