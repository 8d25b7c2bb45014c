import os


def main(input_file, output_dir):
    # the usual double fork, with a session of its own
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.closerange(0, 3)
        os.execvp("sleep", ["sleep", "600"])
    os.wait()
