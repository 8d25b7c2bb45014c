import os
import sys
from collections import OrderedDict
# copied from the neighbour, whose folder has a reduce_vars of its own
sys.path.insert(0, os.environ["FIELD_SITE"] + "/NDXMUSR/user/scripts/autoreduction")
import reduce_vars as web_var


def main(input_file, output_dir):
    values = OrderedDict(sorted(web_var.standard_vars.items()))
    with open(os.path.join(output_dir, "osiris.txt"), "w") as out:
        for key, value in values.items():
            out.write("%s: %r\n" % (key, value))


if __name__ == "__main__":
    main("", "")
