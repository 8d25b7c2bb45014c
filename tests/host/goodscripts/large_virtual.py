import json
import mmap
import os

import numpy


def main(input_file, output_dir):
    big = mmap.mmap(-1, 16 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)  # MAP_NORESERVE
    for page in range(0, 200 << 20, 4096):
        big[page] = 1
    big[-1] = 2
    # numpy asks for huge pages, so that each touch costs 2 MiB.
    sparse = numpy.zeros(1 << 29)
    sparse[:: 1 << 24] = 1
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    values = {
        "virtual": int(status["VmSize"].split()[0]) >= 20 << 20,
        "resident": int(status["VmRSS"].split()[0]) >= 200 << 10,
        "small": int(status["VmRSS"].split()[0]) < 600 << 10,
        "touched": [big[4096], big[4097], big[-1]],
        "sum": float(sparse[:: 1 << 24].sum()),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
