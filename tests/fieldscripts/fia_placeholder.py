raise Exception('script not implemented')
