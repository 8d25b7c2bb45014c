import atexit


def fails():
    raise RuntimeError("too late")


open("result.txt", "w").write("done")
atexit.register(fails)
