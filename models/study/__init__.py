"""How well the model does, in every row of the published results, on whatever cohorts it is given."""
