import atexit
import time

open("result.txt", "w").write("done")
atexit.register(time.sleep, 3600)
