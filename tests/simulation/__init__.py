"""Several replicas of the daemon's own code on virtual time, with models of broker and receivers.

One seed decides everything; `oracle.py` lists the promises. `make simulate` runs as many seeds as
it is told.
"""
