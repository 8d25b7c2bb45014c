# Quick look at an alignment scan
import os
import sys
sys.path.append("/isis/NDXLET/user/scripts/autoreduction")
sys.path.insert(0, "/opt/mantidnightly/bin")
import reduce_vars as web_var


def main(input_file=None, output_dir=None):
    stem, ending = os.path.splitext(input_file)
    # the monitor sends the .nxs, the histograms are in the .raw
    partner = stem + web_var.standard_vars["file ending"]
    with open(partner) as handle:
        counts = [int(word) for word in handle.read().split()]
    with open(os.path.join(output_dir, "alf.txt"), "w") as handle:
        handle.write("%d\n" % sum(counts))
    return ''


if __name__ == "__main__":
    main("/isis/NDXALF/Instrument/data/cycle_15_1/ALF00061301.raw", "/tmp/alf")
