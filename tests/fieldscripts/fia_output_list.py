import os
import sys

# To change by automatic script
runno = 75513
input_path = sys.argv[1]
output_dir = sys.argv[2]
# End of section to change by automatic script


def generate_name(run):
    return "MAR{}_reduced.txt".format(run)


output = [generate_name(runno)]
with open(os.path.join(output_dir, output[0]), "w") as handle:
    handle.write(open(input_path).read())
