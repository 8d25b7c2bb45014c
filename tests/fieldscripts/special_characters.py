import os


def main(input_file, output_dir):
    degree = "Temperatur 4.2 K, Winkel 30°, λ = 1.8 Å, Röhre №3, 中子"
    print(degree)
    with open(os.path.join(output_dir, "größe λ.txt"), "w", encoding="utf-8") as handle:
        handle.write(degree)
    raise KeyError("Röhre №4")  # ends here
