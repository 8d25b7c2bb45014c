import os
import sys


class Reduction(object):
    def __init__(self, path):
        self.path = path

    def norm(self):
        counts = [int(word) for word in open(self.path).read().split()[1:]]
        return 1 / (counts[0] - 7)  # ends here


if __name__ == "__main__":
    print(Reduction(sys.argv[1]).norm())
