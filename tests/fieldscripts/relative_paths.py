import os


def main(input_file, output_dir):
    # cwd and home are its own
    open("scratch.txt", "w").write("1")
    open(os.path.expanduser("~/.cache"), "w").write("2")
    open(os.path.join(os.environ["TMPDIR"], "3"), "w").write("3")
    os.makedirs(os.path.join(output_dir, "bank 1", "deep"))
    open(os.path.join(output_dir, "bank 1", "deep", "a.txt"), "w").write(open("scratch.txt").read())
