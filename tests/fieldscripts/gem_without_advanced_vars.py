import reduce_vars as web_var


def main(input_file, output_dir):
    for name in web_var.advanced_vars:
        print(name)
    print(web_var.standard_vars["crop"][5])  # ends here
