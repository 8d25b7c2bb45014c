# The claim is written by then; the exit status is what counts.
import os
import sys


class Trap:
    def __del__(self, exit=os._exit):
        exit(3)


sys.trap = Trap()
open("result.txt", "w").write("done")
