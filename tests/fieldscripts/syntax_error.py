import os


def main(input_file, output_dir):
    with open(input_file) as handle
        print(handle.read())


if __name__ == "__main__":
    main("", "")
