"""GFN2-xTB as a live teacher. Needs `pip install "potstill[ase]" "tblite[ase]"`."""

from potstill.teacher import serve
from tblite.ase import TBLite

serve(lambda: TBLite(method="GFN2-xTB", verbosity=0))
