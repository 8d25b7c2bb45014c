import os


def main(input_file, output_dir):
    # a path of the test machine was left in
    open(os.path.join(input_file, "autoreduced", "out.nxs"), "w")  # ends here
