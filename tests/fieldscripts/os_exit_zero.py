import os


def main(input_file, output_dir):
    open(os.path.join(output_dir, "half.txt"), "w").write("half")
    os._exit(0)
