import sys


def main(input_file, output_dir):
    try:
        raise ValueError("lost by what comes next")
    finally:
        sys.exit(256)  # ends here
