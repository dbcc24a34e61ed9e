"""The cluster work of the stages: which jobs a simulation, an estimator, a read-out or a retrain needs."""
