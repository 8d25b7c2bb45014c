import json
import os
import queue
import threading


def main(input_file, output_dir):
    todo, done, local = queue.Queue(), queue.Queue(), threading.local()
    total, lock = [0], threading.Lock()

    def work():
        local.mine = 0
        while (item := todo.get()) is not None:
            with lock:
                total[0] += item
            local.mine += 1
        done.put(local.mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for item in range(1000):
        todo.put(item)
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()
    rang = threading.Event()
    threading.Timer(0.01, rang.set).start()
    threading.stack_size(64 << 20)
    deep = threading.Thread(target=lambda: done.put(0))
    deep.start()
    deep.join()
    values = {
        "total": total[0],
        "items": sum(done.get() for _ in range(9)),
        "rang": rang.wait(60),
        "named": threading.current_thread() is threading.main_thread(),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
