import os
import reduce_vars as web_var


def main(input_file, output_dir):
    path = web_var.advanced_vars['path'].format(36000)
    if not os.path.exists(path):
        raise ValueError("Skip: the transmission run is not reduced yet")  # ends here
    print(open(path).read())
