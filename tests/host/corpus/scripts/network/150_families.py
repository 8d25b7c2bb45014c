import errno
import socket

tried = (
    ("raw", socket.AF_INET, socket.SOCK_RAW, 1),
    ("raw of version 6", socket.AF_INET6, socket.SOCK_RAW, 58),
    ("packet", 17, socket.SOCK_RAW, 0x0300),
    ("packet by its old name", socket.AF_INET, 10, 0x0300),
    ("packet datagram", 17, socket.SOCK_DGRAM, 0x0300),
    ("netlink generic", 16, socket.SOCK_RAW, 16),
    ("netlink audit", 16, socket.SOCK_RAW, 9),
    ("netlink netfilter", 16, socket.SOCK_RAW, 12),
    ("netlink diagnosis", 16, socket.SOCK_RAW, 4),
    ("netlink uevent", 16, socket.SOCK_RAW, 15),
    ("vsock", 40, socket.SOCK_STREAM, 0),
    ("alg", 38, socket.SOCK_SEQPACKET, 0),
    ("bluetooth", 31, socket.SOCK_RAW, 1),
    ("key", 15, socket.SOCK_RAW, 2),
    ("xdp", 44, socket.SOCK_RAW, 0),
    ("can", 29, socket.SOCK_RAW, 1),
    ("tipc", 30, socket.SOCK_SEQPACKET, 0),
    ("rds", 21, socket.SOCK_SEQPACKET, 0),
    ("ax25", 3, socket.SOCK_DGRAM, 0),
    ("x25", 9, socket.SOCK_SEQPACKET, 0),
    ("smc", 43, socket.SOCK_STREAM, 0),
    ("qipcrtr", 42, socket.SOCK_DGRAM, 0),
)
for name, family, kind, protocol in tried:
    try:
        socket.socket(family, kind, protocol)
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
try:
    socket.socketpair(40, socket.SOCK_STREAM)
    print("pair of vsock: done")
except OSError as error:
    print("pair of vsock:", errno.errorcode[error.errno])
