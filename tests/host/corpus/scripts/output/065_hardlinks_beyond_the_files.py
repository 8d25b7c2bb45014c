# Each name counts as a file, also where all of them are one.
import errno
import os

open("one.txt", "w").write("x" * 1000)
try:
    for number in range(5000):
        os.link("one.txt", f"link{number}.txt")
    print("links: done")
except OSError as error:
    print("links:", errno.errorcode[error.errno])
    raise
