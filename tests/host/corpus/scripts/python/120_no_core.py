import os
import resource

try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("raise: done")
except (ValueError, OSError) as error:
    print("raise:", type(error).__name__)
print("core:", resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
