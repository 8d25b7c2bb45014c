import json


def load(text):
    return json.loads(text)  # ends here


def main(input_file, output_dir):
    load(open(input_file).read())
