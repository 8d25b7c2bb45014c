# A folder with a good result, exchanged at the last moment for a link to a folder of the host with a file of that name.
import os

os.mkdir("d")
open("d/passwd", "w").write("result")
os.rename("d", "d.good")
os.symlink("/etc", "d")
