import importlib
import reduce_vars as web_var


def main(input_file, output_dir):
    again = importlib.reload(web_var)
    print(again.standard_vars["scale"])
    import reducescript
    if reducescript.main is not main:
        raise RuntimeError("imported twice")
