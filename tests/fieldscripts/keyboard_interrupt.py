def main(input_file, output_dir):
    raise KeyboardInterrupt()  # ends here
