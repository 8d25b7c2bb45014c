def main(input_file, output_dir):
    frames = len(open(input_file).read().split()) - 4
    if frames < 100:
        raise Exception("SKIPPED: only %d good frames" % frames)  # ends here
