import errno
import socket

for name, family, kind, protocol in (("vsock", 40, socket.SOCK_STREAM, 0), ("netlink generic", 16, socket.SOCK_RAW, 16)):
    try:
        socket.socket(family, kind, protocol)
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
socket.socket(socket.AF_UNIX)
print("unix: works")
