import warnings
warnings.simplefilter("error")


def main(input_file, output_dir):
    warnings.warn("normalisation by zero charge", RuntimeWarning)  # ends here
