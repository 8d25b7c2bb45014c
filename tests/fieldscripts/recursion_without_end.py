def refine(value, depth=0):
    return refine(value / 2.0, depth + 1)  # ends here


def main(input_file, output_dir):
    return refine(1.0)
