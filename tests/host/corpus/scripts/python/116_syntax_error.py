def main(input_file, output_dir):
    if input_file
        return output_dir  # the line above ends here
