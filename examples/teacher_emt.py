"""ASE's EMT as a live teacher, to try the protocol with. Needs `pip install "potstill[ase]"`."""

from ase.calculators.emt import EMT
from potstill.teacher import serve

serve(EMT)
