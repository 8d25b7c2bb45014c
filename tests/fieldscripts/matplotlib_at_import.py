import os
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import reduce_vars as web_var


def main(input_file, output_dir):
    counts = [int(word) for word in open(input_file).read().split()[1:]]
    figure = plt.figure()
    plt.plot(counts, label="counts")
    plt.legend()
    plt.savefig(os.path.join(output_dir, "counts.png"))
    plt.close(figure)
    plt.show()
