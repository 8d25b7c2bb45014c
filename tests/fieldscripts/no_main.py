standard_vars = {'test': 'test'}
