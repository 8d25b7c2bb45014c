import os
import sys


def main(input_file, output_dir):
    if not os.path.exists(input_file + ".log"):
        sys.exit("no log file beside " + os.path.basename(input_file))  # ends here
