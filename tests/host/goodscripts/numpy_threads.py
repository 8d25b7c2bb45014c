import json
import os

import numpy


def main(input_file, output_dir):
    size = 600
    left = (numpy.arange(size * size, dtype="f8") % 7).reshape(size, size)
    right = (numpy.arange(size * size, dtype="f8") % 11).reshape(size, size)
    product = left @ right
    solved = numpy.linalg.solve(numpy.eye(200) * 2, numpy.arange(200.0))
    values = {
        "sum": float(product.sum()),
        "corner": float(product[-1, -1]),
        "solved": float(solved[-1]),
        "singular": float(numpy.linalg.svd(numpy.diag([3.0, 2.0, 1.0]), compute_uv=False)[0]),
        "threads": len(os.listdir("/proc/self/task")),
        "told": [os.environ[name + "_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")],
        "processors": len(os.sched_getaffinity(0)),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
