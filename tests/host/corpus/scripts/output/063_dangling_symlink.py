import os

os.symlink("/no/such/file", "later.txt")
print("link: done")
