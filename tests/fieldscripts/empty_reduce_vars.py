import reduce_vars as web_var


def main(input_file, output_dir):
    print(sorted(name for name in dir(web_var) if not name.startswith("_")))
    print(web_var.standard_vars, web_var.advanced_vars)


if __name__ == "__main__":
    main("", "")
