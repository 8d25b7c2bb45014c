import sys

from reduce_vars import standard_vars

for stream in (sys.stdout, sys.stderr):
    print("#", file=stream)
    print("# An error report file with more information is saved as:", file=stream)
    print("#", standard_vars["victim"], file=stream)
    print("# Core dump written to", standard_vars["victim"], file=stream)
    print("hs_err: see", standard_vars["victim"], "and file://" + standard_vars["victim"], file=stream)
open("result.txt", "w").write(standard_vars["victim"])
