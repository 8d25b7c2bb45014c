import sys

sys.exit("no log file beside the run")
