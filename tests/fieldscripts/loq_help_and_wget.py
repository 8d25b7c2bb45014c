import os
import reduce_vars as web_var


def one_dimensional(sample, background):
    """Subtract the background and average over all angles."""
    return sample - background


print(help(one_dimensional))


def main(input_file, output_dir):
    os.system('rm ~/temp.xml')
    got = os.system('wget -q -O ~/temp.xml http://127.0.0.1:9/masks/latest.xml')
    if got != 0:
        print("no mask from the network, the one beside the data is taken")
        os.system('cp "%s/mask.xml" ~/temp.xml' % os.path.dirname(input_file))
    mask = open(os.path.expanduser("~/temp.xml")).read()
    open(os.path.join(output_dir, "loq.txt"), "w").write(mask)


if __name__ == "__main__":
    main("", "")
