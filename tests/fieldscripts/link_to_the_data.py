import os


def main(input_file, output_dir):
    os.symlink(input_file, os.path.join(output_dir, "raw.nxs"))
