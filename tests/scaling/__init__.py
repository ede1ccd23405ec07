"""Days of load on a number of replicas that a scaler decides on, in virtual time."""
