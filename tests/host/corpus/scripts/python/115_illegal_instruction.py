import ctypes
import mmap
import os

code = b"\x0f\x0b" if os.uname().machine == "x86_64" else b"\x00\x00\x00\x00"  # ud2, udf
page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
