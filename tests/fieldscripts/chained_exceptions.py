import json


def read_calibration(path):
    try:
        return json.loads(open(path).read())
    except ValueError as error:
        raise RuntimeError("calibration is unreadable") from error  # ends here


def main(input_file, output_dir):
    read_calibration(input_file)
