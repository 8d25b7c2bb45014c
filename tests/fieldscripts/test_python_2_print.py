from reduce_vars import *
import os

def first_value(values):
    print 'standard:', values  # ends here
    return values.values()[0]

def main(*args, **kwargs):
    print "data is", kwargs['data']
    return first_value(standard_vars)

if __name__ == "__main__":
    main(data="/tmp/x", output="/tmp")
