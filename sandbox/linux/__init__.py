"""One kernel facility per module, no policy; the only place of the project that may use ctypes."""
