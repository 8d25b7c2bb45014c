import errno
import os
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
piece, total, kept = bytes(1 << 20), 0, []
while total < 512 << 20:
    kept.append(os.memfd_create("bomb"))
    room = 64
    try:
        while room and total < 512 << 20:
            total += os.write(kept[-1], piece)
            room -= 1
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.ENOSPC):
            raise
        if os.fstat(kept[-1]).st_size == 0:
            print("memfd:", errno.errorcode[error.errno], flush=True)
            break
    print("memfd so far:", total >> 20, "MiB", flush=True)
print(f"memfd: took {total >> 20} MiB", flush=True)
