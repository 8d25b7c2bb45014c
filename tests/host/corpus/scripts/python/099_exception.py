import sys

open("half.txt", "w").write("half")
print("so far", file=sys.stderr)
raise ValueError("neither a ceria nor a vanadium run was given")  # ends here
