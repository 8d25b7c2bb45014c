import os
import reduce_vars as web_var


def main(input_file, output_dir):
    return (web_var.advanced_vars["cache"], os.path.join(web_var.advanced_vars["cache"], "more"))
