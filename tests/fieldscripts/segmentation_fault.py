import ctypes


def main(input_file, output_dir):
    # a compiled library with a wild pointer
    ctypes.string_at(0)
