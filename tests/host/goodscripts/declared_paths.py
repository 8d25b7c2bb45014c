import errno
import json
import os

import reduce_vars as web_var


def told(act):
    try:
        return act()
    except OSError as error:
        return errno.errorcode[error.errno]


def main(input_file, output_dir):
    values = {}
    for name, path in web_var.standard_vars.items():
        values[name] = [
            told(lambda: open(path).read()),
            told(lambda: sorted(os.listdir(os.path.dirname(path)))),
            told(lambda: open(path, "a").close()),
        ]
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
