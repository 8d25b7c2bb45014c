import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
number = 280 if os.uname().machine == "x86_64" else 88  # utimensat
for name, seconds in (("first", -(1 << 62)), ("last", (1 << 62)), ("ends", (1 << 63) - 1), ("epoch", -1), ("soon", 1 << 40)):
    open(name, "w").write(name)
    times = (ctypes.c_long * 4)(seconds, 0, seconds, 999_999_999)
    print(f"{name}:", libc.syscall(number, -100, name.encode(), times, 0))
