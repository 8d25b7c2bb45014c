import ctypes
import sys

sys.setrecursionlimit(10**9)


@ctypes.CFUNCTYPE(None)
def down():
    down()


print("down", flush=True)
down()
