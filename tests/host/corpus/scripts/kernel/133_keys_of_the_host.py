from reduce_vars import standard_vars

listed = open("/proc/keys").read()
print("listed:", standard_vars["key"] in listed)
