def main(input_file, output_dir):
    raise Exception("cannot skip the header")  # ends here
