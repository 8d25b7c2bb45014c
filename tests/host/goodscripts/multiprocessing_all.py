import json
import multiprocessing
import os
import sys
import time


def square(number):
    return number * number


def fails(number):
    raise ValueError("bank %d" % number)


def count(lock, total, queue, shared, barrier, number):
    barrier.wait(60)
    for _ in range(100):
        with lock:
            total.value += 1
    shared[number] = number * 10
    queue.put((number, os.getppid()))


if __name__ == "__main__":
    input_file, output_dir, method = sys.argv[1:4]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        squares = pool.map(square, range(20))
        later = pool.apply_async(square, (12,)).get(60)
        unordered = sorted(pool.imap_unordered(square, range(5)))
        try:
            pool.map(fails, [3])
        except ValueError as error:
            failure = str(error)
    with context.Manager() as manager:
        shared = manager.dict()
        listed = manager.list([3, 1, 2])
        listed.sort()
        lock, total, queue, barrier = context.Lock(), context.Value("i", 0), context.Queue(), context.Barrier(2)
        workers = [
            context.Process(target=count, args=(lock, total, queue, shared, barrier, number)) for number in range(2)
        ]
        for worker in workers:
            worker.start()
        told = sorted(queue.get(timeout=60)[0] for _ in workers)
        for worker in workers:
            worker.join(60)
        values = {
            "squares": squares,
            "later": later,
            "unordered": unordered,
            "failure": failure,
            "told": told,
            "total": total.value,
            "shared": sorted(shared.items()),
            "listed": list(listed),
            "exits": [worker.exitcode for worker in workers],
        }
    with open(output_dir + "values.json", "w") as file:
        json.dump(values, file)
