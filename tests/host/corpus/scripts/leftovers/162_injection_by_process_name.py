# The name of a process stands in /proc/<pid>/stat and in our sentence about the memory.
import ctypes
import os
import time

ctypes.CDLL(None).prctl(15, b"a) Z 1\n\x1b[31mcomp", 0, 0, 0)
block = bytearray()
while True:
    block += b"x" * (4 << 20)
    time.sleep(0.01)
