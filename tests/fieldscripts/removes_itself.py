import os
os.remove(__file__)


def main(input_file, output_dir):
    raise ValueError("the line is shown all the same")  # ends here
