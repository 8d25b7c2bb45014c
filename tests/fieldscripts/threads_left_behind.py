import os
import threading


def main(input_file, output_dir):
    for number in range(4):
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def fails():
        raise ValueError("in a thread")

    worker = threading.Thread(target=fails)
    worker.start()
    worker.join()
    open(os.path.join(output_dir, "threads.txt"), "w").write("%d" % (threading.active_count() >= 5))
