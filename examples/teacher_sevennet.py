"""SevenNet-0 as a live teacher. Needs `pip install "potstill[ase]" sevenn`, which brings the weights along."""

from potstill.teacher import serve


def calculator():
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator("7net-0", device="cpu")


serve(calculator)
