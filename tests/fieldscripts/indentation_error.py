def main(input_file, output_dir):
    total = 0
      total += 1
    return ''
