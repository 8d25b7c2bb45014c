class Fundamental(BaseException):
    pass


raise Fundamental("no Exception at all")
