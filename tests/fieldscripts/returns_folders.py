import os
import reduce_vars as web_var


def main(input_file, output_dir):
    extra = os.path.join(web_var.advanced_vars["cache"], "ENGINX", "75513")
    return [extra, "", "/nowhere/at/all"]
