import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(here):
    sys.exit(2)

data_file = sys.argv[1]
output_dir = sys.argv[2]
stem = os.path.basename(data_file).split(".")[0]
print("script folder is importable:", here in sys.path)
out = open(os.path.join(output_dir, stem + "_focussed.txt"), "w")
out.write(open(data_file).read())
out.close()
