import json
import os

import matplotlib
import matplotlib.pyplot as plt


def main(input_file, output_dir):
    figure, axes = plt.subplots(figsize=(3, 2), dpi=100)
    axes.plot([1, 2, 3], [1, 4, 9], label="d spacing / Å")
    axes.legend()
    axes.set_title("Röhre $\\alpha^2$")
    for ending in ("png", "pdf", "svg"):
        figure.savefig(os.path.join(output_dir, "picture." + ending))
    shape = plt.imread(os.path.join(output_dir, "picture.png")).shape
    plt.show()
    cache = matplotlib.get_cachedir()
    values = {
        "backend": matplotlib.get_backend().lower(),
        "shape": shape,
        "cache below home": os.path.realpath(cache).startswith(os.path.realpath(os.environ["HOME"]) + os.sep),
        "fonts kept": any(name.startswith("fontlist") for name in os.listdir(cache)),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
