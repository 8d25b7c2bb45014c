import os
import shutil
import sys
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import reduce_vars as web_var


def main(input_file, output_dir):
    print("copying", input_file, "to", output_dir)
    shutil.copy(input_file, output_dir)


if __name__ == "__main__":
    main("/isis/NDXPOLREF/POLREF00014966.nxs", "/tmp")
