import os

os.mkfifo("result.nxs")
open("a.txt", "w").write("beside it")
