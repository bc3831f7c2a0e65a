"""Small, fast neural network potentials, distilled from slow ones.

A model file that `potstill train` or `potstill distill` wrote is a :class:`Model` here, which evaluates numpy arrays and
``ase.Atoms``. :mod:`potstill.ase` has a calculator for ASE, :mod:`potstill.teacher` makes any calculator of ASE a live teacher.
Units are eV and Å.

Examples
--------
>>> import numpy as np
>>> import potstill
>>> model = potstill.Model("student.safetensors")
>>> methane = {"numbers": [6, 1, 1, 1, 1], "positions": np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63}
>>> model.evaluate(methane).forces.shape
(5, 3)
"""

from ._potstill import Model, PotstillError, Prediction, __version__

__all__ = ["Model", "PotstillError", "Prediction", "__version__"]
