def main(input_file, output_dir):
    wanted = input("which bank? ")  # ends here
    print(wanted)
