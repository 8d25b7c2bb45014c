# With the host's network its abstract sockets are in reach, but for Landlock (ABI 6, Linux 6.12).
import errno
import socket

from reduce_vars import standard_vars

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    connection = socket.socket(socket.AF_UNIX, kind)
    try:
        connection.connect("\0" + standard_vars["abstract"][str(int(kind))])
        print(f"connect {kind}: done")
    except OSError as error:
        print(f"connect {kind}:", errno.errorcode[error.errno])
