import errno
import socket

from reduce_vars import standard_vars

for host, port in ((standard_vars["host"], standard_vars["port"]), ("192.0.2.1", 80), ("198.51.100.1", 53), ("203.0.113.1", 22)):
    connection = socket.socket()
    connection.settimeout(1)
    name = "the host" if host == standard_vars["host"] else host
    try:
        connection.connect((host, port))
        print(f"connect {name}: done")
    except OSError as error:
        print(f"connect {name}:", errno.errorcode.get(error.errno, str(error)))
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for host in ("192.0.2.1", standard_vars["host"]):
    name = "the host" if host == standard_vars["host"] else host
    try:
        datagram.sendto(b"x", (host, 53))
        print(f"datagram {name}: done")
    except OSError as error:
        print(f"datagram {name}:", errno.errorcode.get(error.errno, str(error)))
print("interfaces:", [line.partition(":")[0].strip() for line in open("/proc/net/dev") if ":" in line])
