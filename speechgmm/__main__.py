"""`python -m speechgmm` is the command `speechgmm`."""

from speechgmm.cli import main

if __name__ == "__main__":
    main()
