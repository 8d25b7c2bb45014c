import os
import sys
sys.path.append("/isis/NDXMERLIN/user/scripts/autoreduction")
import reduce_vars as web_var


class MERLINReduction:
    def __init__(self, variables):
        self.vars = variables

    def locate(self, folder):
        for key in ("hard_mask_file", "det_cal_file"):
            # the variables are changed for good, as everybody does
            self.vars.advanced_vars[key] = os.path.join(folder, self.vars.advanced_vars[key])


def main(input_file=None, output_dir=None):
    reduction = MERLINReduction(web_var)
    reduction.locate("/archive/masks")
    with open(os.path.join(output_dir, "paths.txt"), "w") as out:
        for key in sorted(web_var.advanced_vars):
            out.write("%s %s\n" % (key, web_var.advanced_vars[key]))
    web_var.standard_vars.clear()
    return ''


if __name__ == "__main__":
    main("/tmp/x.nxs", "/tmp")
