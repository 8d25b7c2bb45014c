import json
import multiprocessing
import os
from multiprocessing import managers, shared_memory

import numpy


def fill(name, row):
    block = shared_memory.SharedMemory(name=name)
    numpy.ndarray((4, 250_000), dtype="f8", buffer=block.buf)[row] = row + 1
    block.close()


def main(input_file, output_dir):
    before = sorted(os.listdir("/dev/shm"))
    block = shared_memory.SharedMemory(create=True, size=8 << 20)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=fill, args=(block.name, row)) for row in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    total = float(numpy.ndarray((4, 250_000), dtype="f8", buffer=block.buf).sum())
    during = len(os.listdir("/dev/shm"))
    block.close()
    block.unlink()
    with managers.SharedMemoryManager() as manager:
        listed = list(manager.ShareableList(["a", 2, 3.5, None]))
    counts = multiprocessing.RawArray("d", 1000)
    counts[999] = 2.5
    after = sorted(os.listdir("/dev/shm"))
    values = {
        "total": total,
        "listed": listed,
        "raw": counts[999],
        "before": before,
        "during": during > len(before),
        "after": after,
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
