"""GFN2-xTB as a live teacher. Needs `pip install "potstill[ase]" "tblite[ase]"`."""

import os

# For tens of atoms a second thread costs more than it gives, and many times more where other work runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from potstill.teacher import serve
from tblite.ase import TBLite

serve(lambda: TBLite(method="GFN2-xTB", verbosity=0))
