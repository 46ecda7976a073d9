"""`python -m trunkline`: the same program as the `trunkline` command."""

from trunkline.cli.main import run

if __name__ == "__main__":
    run()
