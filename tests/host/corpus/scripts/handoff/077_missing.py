import os

open("result.txt", "w").write("half")
os._exit(0)
