import mmap
import os

with open("result.bin", "wb") as file:
    file.truncate(1 << 20)
read, write = os.pipe()
if not os.fork():
    os.setsid()
    file = open("result.bin", "r+b")
    shared = mmap.mmap(file.fileno(), 1 << 20)
    count = 0
    while True:
        count += 1
        shared[:] = bytes([count & 255]) * (1 << 20)
        if count == 1:
            os.write(write, b"x")
os.read(read, 1)
print("writing")
