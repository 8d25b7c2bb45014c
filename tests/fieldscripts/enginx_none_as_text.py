import os
import reduce_vars as web_var


def _cast_string_to_None(values):
    for key in values:
        if values[key] == 'None':
            values[key] = None


def validate(ceria, vanadium):
    if ceria is None and vanadium is None:
        raise RuntimeError("neither a ceria nor a vanadium run was given")  # ends here


def main(input_file, output_dir):
    _cast_string_to_None(web_var.standard_vars)
    _cast_string_to_None(web_var.advanced_vars)
    validate(web_var.standard_vars['ceria_run'], web_var.standard_vars['vanadium_run'])


if __name__ == "__main__":
    main("", "")
