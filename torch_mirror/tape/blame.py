"""stub"""
def blame(*a): return ()
