"""The compiled E-step for independent features: the only place where speed may cost plainness."""
