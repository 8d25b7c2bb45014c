import errno
import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
told = False
while True:
    try:
        os.fork()
    except OSError as error:
        if not told:
            told = True
            print("fork:", errno.errorcode[error.errno], flush=True)
