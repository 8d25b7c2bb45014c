import ctypes
import ctypes.util
import json
import os


def main(input_file, output_dir):
    libc = ctypes.CDLL(None, use_errno=True)
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    libm.cos.restype, libm.cos.argtypes = ctypes.c_double, [ctypes.c_double]
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 5)(5, 3, 9, 1, 7)
    libc.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    # Memory of System V, as some Fortran codes use it.
    libc.shmat.restype = ctypes.c_void_p
    libc.shmdt.argtypes = [ctypes.c_void_p]
    segment = libc.shmget(0, 1 << 20, 0o1600)
    address = libc.shmat(segment, None, 0)
    ctypes.memset(address, 7, 100)
    values = {
        "pid": libc.getpid() == os.getpid(),
        "cos": libm.cos(0.0),
        "sorted": list(numbers),
        "segment": ctypes.string_at(address, 3).hex(),
        "errno": (libc.close(9999), ctypes.get_errno()),
        "library": ctypes.util.find_library("c"),
    }
    libc.shmdt(address)
    libc.shmctl(segment, 0, None)
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
