"""Steps of `fit`: the plan, the run folder, the training and its end."""
