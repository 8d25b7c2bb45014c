import errno
import socket

from reduce_vars import standard_vars

for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "localhost")):
    connection = socket.socket(family)
    connection.settimeout(2)
    try:
        connection.connect((host, standard_vars["port"]))
        print(f"connect {host}: done")
    except OSError as error:
        print(f"connect {host}:", errno.errorcode.get(error.errno, str(error)))
