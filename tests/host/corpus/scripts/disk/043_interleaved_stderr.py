import os

for number in range(4000):
    os.write(1, b"out %6d %s\n" % (number, b"o" * 500))
    os.write(2, b"err %6d %s\n" % (number, b"e" * 500))
os.write(1, b"END OUT\n")
os.write(2, b"END ERR\n")
