import json
import mmap
import os

import numpy


def main(input_file, output_dir):
    values = {}
    with open(input_file, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        values["signature"] = data[1:4].decode()
        values["size"] = len(data) == os.path.getsize(input_file)
        data.madvise(mmap.MADV_SEQUENTIAL)
    with open(input_file, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        data[0:4] = b"mine"
        values["copy"] = data[0:4].decode()
    path = os.path.join(output_dir, "mapped.bin")
    counts = numpy.memmap(path, dtype="i4", mode="w+", shape=(1000,))
    counts[:] = numpy.arange(1000)
    counts.flush()
    del counts
    values["mapped"] = int(numpy.memmap(path, dtype="i4", mode="r").sum())
    numpy.save("counts.npy", numpy.ones((100, 10)))
    values["loaded"] = float(numpy.load("counts.npy", mmap_mode="r").sum())
    with open("shared", "w+b") as file:
        file.truncate(4096)
        shared = mmap.mmap(file.fileno(), 4096)
        if os.fork() == 0:
            shared[:5] = b"child"
            os._exit(0)
        os.wait()
        values["shared"] = shared[:5].decode()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
