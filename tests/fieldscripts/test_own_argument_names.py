from reduce_vars import *


def main(*args, **kwargs):
    print("arg1 is", standard_vars["arg1"])
    return process(kwargs["data"], kwargs["output"])  # ends here


def process(data, output):
    return None


if __name__ == "__main__":
    main(data="/tmp/x", output="/tmp")
