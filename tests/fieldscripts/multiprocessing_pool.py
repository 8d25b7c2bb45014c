import multiprocessing
import os
import reduce_vars as web_var


def scaled(value):
    return value * web_var.standard_vars["scale"]


def main(input_file, output_dir):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        result = pool.map(scaled, [1, 2, 3])
    open(os.path.join(output_dir, "pool.txt"), "w").write(repr(result))
