import os


def main(input_file, output_dir, calibration):  # ends here
    return os.path.join(output_dir, calibration)
