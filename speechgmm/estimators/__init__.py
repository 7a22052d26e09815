"""Faces for scikit-learn: each estimator is a thin shell over the frozen values of the other rooms, one a file."""
