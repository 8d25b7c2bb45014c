import os
from multiprocessing import shared_memory


def main(input_file, output_dir):
    block = shared_memory.SharedMemory(create=True, size=1 << 20, name="forgotten")
    block.buf[:4] = b"left"
    with open("/dev/shm/by hand", "w") as file:
        file.write("left")
    with open(os.path.join(output_dir, "values.json"), "w") as file:
        file.write('{"there": %d}' % len(os.listdir("/dev/shm")))
