import os
import time

read, write = os.pipe()
if not os.fork():
    os.setsid()
    with open("growing.dat", "ab", buffering=0) as file:
        file.write(b"x" * 4096)
        os.write(write, b"x")
        while True:
            file.write(b"x" * 4096)
            time.sleep(0.001)
os.read(read, 1)
print("growing")
