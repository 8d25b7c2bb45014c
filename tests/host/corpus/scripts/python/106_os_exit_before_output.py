import os

print("nothing is done")
os._exit(0)
