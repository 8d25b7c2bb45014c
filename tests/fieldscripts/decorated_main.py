import functools
import os
import time


def timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        begin = time.time()
        try:
            return function(*args, **kwargs)
        finally:
            print("took", time.time() - begin >= 0)
    return inner


@timed
@timed
def main(input_file, output_dir):
    bank = {"north": 1}
    print(os.path.basename(input_file), bank["south"])  # ends here
