import os
import reduce_vars as web_var


def user_file():
    os.system('rm ~/temp.xml')
    os.system('wget -q -O ~/MASK_SANS2D.txt http://127.0.0.1:9/MASK_SANS2D.txt; rm -f ~/MASK_SANS2D.txt')
    return os.path.join(os.environ['HOME'], 'MASK_SANS2D.txt')


def main(input_file, output_dir):
    lines = open(user_file()).readlines()  # ends here
    print(len(lines))
