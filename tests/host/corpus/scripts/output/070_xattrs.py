import errno
import os
import struct

open("result.txt", "w").write("plain")
everyone = struct.pack("<IHHIHHIHHIHHIHHI", 2, 1, 6, 0xFFFFFFFF, 2, 7, 0, 4, 0, 0xFFFFFFFF, 16, 7, 0xFFFFFFFF, 32, 7, 0xFFFFFFFF)
for name, value in (
    ("user.origin", b"script"),
    ("security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),
    ("trusted.overlay.opaque", b"y"),
    ("system.posix_acl_access", everyone),
):
    try:
        os.setxattr("result.txt", name, value)
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
