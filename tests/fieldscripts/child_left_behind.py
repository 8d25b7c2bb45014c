import subprocess


def main(input_file, output_dir):
    subprocess.Popen(["sleep", "600"])
    print("started the live view")
