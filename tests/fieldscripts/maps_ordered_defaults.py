import os, sys
sys.path.append("/isis/NDXOSIRIS/user/scripts/autoreduction")
import reduce_vars as web_var

def main(input_file, output_dir):
	# tabs, and the order of the defaults is the order on the page
	names = list(web_var.standard_vars)
	if names != ["monovan", "sum_runs", "energy_bins", "sample mass"]:
		raise ValueError("the order is lost: %s" % names)
	if web_var.standard_vars["sum_runs"] != []:
		raise ValueError("the empty list is lost")
	with open(os.path.join(output_dir, "maps.txt"), "w") as out:
		for name, value in web_var.standard_vars.items():
			out.write("%s=%r\n" % (name, value))

if __name__ == "__main__":
	main("/isis/x", "/tmp")
