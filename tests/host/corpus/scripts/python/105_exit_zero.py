import sys

open("result.txt", "w").write("done")
sys.exit(0)
