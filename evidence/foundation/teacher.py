"""SevenNet-0, the teacher: one function that makes its ASE calculator, and a live teacher for potstill when run as a program.

SevenNet-0 is a graph network for nearly all elements; its weights come with the Python package `sevenn`. It runs here on one thread of
the processor, so that its cost can be compared with that of a student on one core. As a program it reads systems as extended XYZ from
its standard input and answers each with energy, forces and stress; nothing else in the whole experiment has labels to give.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")


def calculator():
    """The ASE calculator of SevenNet-0 on one thread."""
    import torch
    from sevenn.calculator import SevenNetCalculator

    torch.set_num_threads(1)
    return SevenNetCalculator("7net-0", device="cpu")


if __name__ == "__main__":
    from potstill.teacher import serve

    serve(calculator, properties=["energy", "forces", "stress"])
