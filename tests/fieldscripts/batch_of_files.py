import os
import reduce_vars as web_var


def main(input_file, output_dir):
    total = 0
    for path in input_file:
        total += sum(int(word) for word in open(path).read().split()[1:])
    open(os.path.join(output_dir, "batch.txt"), "w").write("%d files %d" % (len(input_file), total))
