import json
import multiprocessing
import os

import reduce_vars as web_var


def scaled(number):
    return number * 3


def main(input_file, output_dir):
    with multiprocessing.get_context(web_var.standard_vars["method"]).Pool(2) as pool:
        values = {"scaled": pool.map(scaled, [1, 2, 3])}
    with open(os.path.join(output_dir, "values.json"), "w") as file:
        json.dump(values, file)
