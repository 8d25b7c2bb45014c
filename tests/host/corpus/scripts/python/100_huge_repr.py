class Big(Exception):
    def __str__(self):
        return "x" * 100_000_000

    __repr__ = __str__


raise Big
