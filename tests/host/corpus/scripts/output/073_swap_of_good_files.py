# The same with two plain files: what is taken is whole, and one of the two.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
number = 316 if os.uname().machine == "x86_64" else 276  # renameat2
open("a.txt", "w").write("a" * 100_000)
open("b.txt", "w").write("b" * 200_000)
read, write = os.pipe()
if not os.fork():
    os.setsid()
    told = False
    while True:
        libc.syscall(number, -100, b"a.txt", -100, b"b.txt", 2)
        if not told:
            os.write(write, b"x")
            told = True
os.read(read, 1)
print("swapping")
