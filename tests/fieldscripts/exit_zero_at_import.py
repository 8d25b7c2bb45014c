import sys
import reduce_vars as web_var
if not web_var.standard_vars:
    sys.exit(0)  # ends here


def main(input_file, output_dir):
    raise RuntimeError("unreachable")
