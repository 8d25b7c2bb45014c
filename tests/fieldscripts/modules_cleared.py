import json
import os
import sys


def main(input_file, output_dir):
    os.chdir("/")
    os.open = os.write = os.rename = json.dumps = None
    sys.modules.clear()
    sys.path[:] = []
    raise ValueError("after the flood")  # ends here
