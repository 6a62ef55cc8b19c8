"""``python -m qeqprop`` is the command ``qeqprop``, for an environment whose scripts are not on the path."""

from qeqprop.cli import main

if __name__ == "__main__":
    main()
