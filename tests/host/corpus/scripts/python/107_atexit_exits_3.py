import atexit
import os

open("result.txt", "w").write("done")
atexit.register(os._exit, 3)
