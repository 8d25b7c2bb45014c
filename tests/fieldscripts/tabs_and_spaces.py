def main(input_file, output_dir):
    if output_dir:
	return ''
        return None
