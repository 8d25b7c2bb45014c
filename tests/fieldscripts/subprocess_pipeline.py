import os
import subprocess


def main(input_file, output_dir):
    words = subprocess.Popen(["tr", "-s", " ", "\n"], stdin=open(input_file), stdout=subprocess.PIPE)
    ordered = subprocess.Popen(["sort", "-rn"], stdin=words.stdout, stdout=subprocess.PIPE)
    words.stdout.close()
    largest = ordered.communicate()[0].split()[0]
    words.wait()
    os.system("echo largest %s | sed 's/largest/most/' > '%s/pipeline.txt'" % (largest.decode(), output_dir))
