import reduce_vars as web_var

SKIP_RUNS = ["75511", 75513]


def main(input_file, output_dir):
    raise RuntimeError("this run has to be left out")
