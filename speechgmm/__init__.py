"""speechgmm."""
