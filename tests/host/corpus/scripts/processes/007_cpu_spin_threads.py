import threading
import time

import numpy

until = time.monotonic() + 1.5


def spin():
    here = numpy.random.default_rng(1).random((200, 200))
    while time.monotonic() < until:
        here.sort(axis=1)
        here = here[::-1] * 1.0000001


threads = [threading.Thread(target=spin) for _ in range(64)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads:", len(threads))
