def main(input_file, output_dir):
    return 42
