"""Direct geometry chopper spectrometer: one object holds the variables and everything done with them."""
import os
import sys
sys.path.append("/isis/NDXLET/user/scripts/autoreduction")
import reduce_vars as web_var


class Reduction(object):
    def __init__(self, variables=None):
        self.standard = dict(variables.standard_vars)
        self.standard.update(variables.advanced_vars)
        self.name = 'LET'

    def iterate_over(self, runs):
        for run in runs:
            yield "%s%08d" % (self.name, int(run))

    def reduce(self, input_file, output_dir):
        made = []
        for name in self.iterate_over(self.standard['sample_run']):
            target = os.path.join(output_dir, name + '.nxspe')
            with open(target, 'w') as handle:
                handle.write("ei %r wb %r\n" % (self.standard['incident_energy'], self.standard['wb_run']))
            made.append(target)
        return made


class LETReduction(Reduction):
    def __init__(self, web_var):
        Reduction.__init__(self, web_var)
        self.checked = isinstance(self.standard['wb_run'], int)

    def main(self, input_file=None, output_dir=None):
        if not self.checked:
            raise TypeError("wb_run has to be a number")
        print("made", self.reduce(input_file, output_dir))


def main(input_file=None, output_dir=None):
    rd = LETReduction(web_var)
    rd.main(input_file, output_dir)
    return ''


if __name__ == "__main__":
    main('', '')
