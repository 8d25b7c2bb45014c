class DetectorError(Exception):
    def __str__(self):
        return "bank %d" % self.args


def main(input_file, output_dir):
    raise DetectorError("two", "three")  # ends here
