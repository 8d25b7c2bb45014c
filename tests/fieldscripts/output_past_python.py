import ctypes
import os
import subprocess


def main(input_file, output_dir):
    os.write(1, b"by descriptor\n")
    subprocess.call("echo by a child; echo complaint of a child >&2", shell=True)
    libc = ctypes.CDLL(None)
    libc.printf(b"by the C library\n")
    print("by Python", end="")
