import os


def main(input_file, output_dir):
    for part in range(64):
        with open(os.path.join(output_dir, "part%02d.dat" % part), "wb") as out:
            out.write(b"\0" * 1000000)
