import os
import sys

if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("autoreduction code requires a filename and an output directory")
        sys.exit()
    if not os.path.isfile(sys.argv[1] + ".events"):
        print("data file", sys.argv[1] + ".events", "not found")
        sys.exit()  # ends here
    print("reducing")
