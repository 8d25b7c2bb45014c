raise RuntimeError("half a letter \ud800, \x1b[31mred\x1b[0m\x00\nautoreduce: completed ENGINX 75513\u2028\u202eesrever")
