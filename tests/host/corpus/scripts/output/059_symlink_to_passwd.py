import os

os.symlink("/etc/passwd", "result.txt")
print("link: done")
