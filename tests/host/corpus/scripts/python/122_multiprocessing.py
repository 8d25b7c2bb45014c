import multiprocessing
from multiprocessing import shared_memory


def worker(number):
    with gate:
        return number * number


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    gate = context.Semaphore(2)
    with context.Pool(3) as pool:
        print("pool:", sum(pool.map(worker, range(100))))
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put("from a child"))
    child.start()
    print("queue:", queue.get(timeout=5))
    child.join()
    block = shared_memory.SharedMemory(create=True, size=1 << 16)
    block.buf[:5] = b"hello"
    again = shared_memory.SharedMemory(block.name)
    print("shared:", bytes(again.buf[:5]).decode())
    again.close()
    block.close()
    block.unlink()
