import subprocess


def main(input_file, output_dir):
    command = "cat '%s' | grep neutrons | cut -d ' ' -f 2" % input_file
    subprocess.check_call("set -e; test -n \"$(%s)\"" % command, shell=True)  # ends here
