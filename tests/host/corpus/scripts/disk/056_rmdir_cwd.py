import errno
import os


def main(input_file, output_dir):
    here = os.getcwd()
    try:
        os.rmdir(here)
        print("rmdir: done", flush=True)
    except OSError as error:
        print("rmdir:", errno.errorcode[error.errno], flush=True)
    with open(os.path.join(output_dir, "a.txt"), "w") as file:
        file.write("a")
