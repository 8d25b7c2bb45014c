import sys

from reduce_vars import standard_vars as given

total = 0
with open(given["big"], "rb", buffering=0) as file:
    while piece := file.read(1 << 20):
        total += len(piece)
print("read", total >> 20, "MiB", flush=True)
