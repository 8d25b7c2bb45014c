import os
import reduce_vars as web_var


def transmission(run, path):
    with open(path.format(run)) as earlier:
        return float(earlier.read())


def main(input_file, output_dir):
    path = web_var.advanced_vars['path']
    factors = [transmission(run, path) for run in web_var.standard_vars['transmission runs']]
    with open(os.path.join(output_dir, "IvsQ.dat"), "w") as out:
        out.write("%.2f\n" % (factors[0] * factors[1]))


if __name__ == "__main__":
    main("", "")
