from __future__ import print_function
from __future__ import division
import os
import sys
sys.path.insert(0, "/opt/Mantid/bin")

panels = range(1, 11)


def main(input_file, output_dir):
    number = os.path.basename(input_file)[-9:-4]
    for panel in panels:
        print("panel", panel, "of run", number, sep=" ")
    with open(os.path.join(output_dir, "WISH" + number + ".gss"), "w") as out:
        out.write("%.3f\n" % (1 / 3))


if __name__ == "__main__":
    main("/archive/WISH00036000.nxs", "/tmp")
