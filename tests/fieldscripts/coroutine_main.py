async def main(input_file, output_dir):
    print("never said")
