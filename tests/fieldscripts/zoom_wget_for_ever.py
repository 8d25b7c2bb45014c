import os
import time
import reduce_vars as web_var


def main(input_file, output_dir):
    # the web server will be back
    while os.system('wget -q -t 1 -O ~/MASK_ZOOM.txt http://127.0.0.1:9/MASK_ZOOM.txt') != 0:
        time.sleep(0.2)
