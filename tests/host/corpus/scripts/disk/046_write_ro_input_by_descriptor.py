import errno
import os
import sys

# What was opened for reading is not opened anew for writing.
fd = os.open(sys.argv[1], os.O_RDONLY)
for name, path in (("fd", f"/proc/self/fd/{fd}"), ("thread", f"/proc/thread-self/fd/{fd}"), ("dev", f"/dev/fd/{fd}")):
    for way, flags in (("write", os.O_WRONLY), ("truncate", os.O_WRONLY | os.O_TRUNC), ("both", os.O_RDWR)):
        try:
            os.open(path, flags)
            print(f"{name} {way}: done", flush=True)
        except OSError as error:
            print(f"{name} {way}:", errno.errorcode[error.errno], flush=True)
path = os.open(sys.argv[1], os.O_PATH)
try:
    os.open(f"/proc/self/fd/{path}", os.O_WRONLY)
    print("path: done", flush=True)
except OSError as error:
    print("path:", errno.errorcode[error.errno], flush=True)
