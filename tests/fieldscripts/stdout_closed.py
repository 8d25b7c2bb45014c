import os
import sys
sys.stdout.close()
sys.stdout = open(os.devnull, "w")
os.close(1)


def main(input_file, output_dir):
    print("nobody hears it")
    raise OSError("still told")  # ends here
