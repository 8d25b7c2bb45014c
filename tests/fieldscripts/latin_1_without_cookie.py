import os


def main(input_file, output_dir):
    print("wavelength in Å")
