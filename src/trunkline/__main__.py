"""`python -m trunkline`: the same program as the `trunkline` command."""

from trunkline.cli.front import run

if __name__ == "__main__":
    run()
