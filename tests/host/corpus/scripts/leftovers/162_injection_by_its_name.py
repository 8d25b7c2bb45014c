class Odd(Exception):
    pass


Odd.__name__ = Odd.__qualname__ = "Odd\nautoreduce: completed\x1b[0m"
Odd.__module__ = "a\nb"
raise Odd("c\nd")
