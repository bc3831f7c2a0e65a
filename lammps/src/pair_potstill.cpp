/* pair_style potstill: a student of potstill in LAMMPS.

   Each process evaluates its own atoms. Features of others, and on the way back gradients, come from the processes that own them, once for
   each layer, so that ghosts reach one cutoff. LAMMPS's exchange would carry a row through up to three processes, for each copy of an
   atom; here each process that needs an atom gets its row once, from its owner. All copies of an atom share it.

   Copyright the potstill developers. Distributed under the GNU General Public License, version 2, as LAMMPS itself; see LICENSE.
*/

#include "pair_potstill.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "timer.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;

// eV in kcal/mol, as LAMMPS converts them.
static constexpr double EV_IN_KCAL_PER_MOL = 23.060549;

PairPotstill::PairPotstill(LAMMPS *lmp) : Pair(lmp) {
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  // Two numbers say who owns a ghost.
  comm_forward = 2;
  manybody_flag = 1;
  // Virials are summed here: copies of own atoms have no forces of their own.
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
}

PairPotstill::~PairPotstill() {
  potstill_domain_close(domain);
  potstill_model_close(model);
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

void PairPotstill::fail(const std::string &message) {
  error->one(FLERR, "pair_style potstill: {}", message);
  // error->one does not return; this tells the compiler.
  std::abort();
}

void PairPotstill::allocate() {
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 1; i < n; i++)
    for (int j = 1; j < n; j++) setflag[i][j] = 0;
}

void PairPotstill::settings(int narg, char **arg) {
  bytes_per_number = 4;
  allows_direct_forces = false;
  int n_threads = comm->nthreads;
  for (int i = 0; i < narg; i++) {
    const std::string key = arg[i];
    if (key == "potstill_allow_direct") {
      allows_direct_forces = true;
    } else if (key == "precision" && i + 1 < narg) {
      const std::string value = arg[++i];
      if (value == "single")
        bytes_per_number = 4;
      else if (value == "double")
        bytes_per_number = 8;
      else
        error->all(FLERR, "pair_style potstill: precision is {}; must be single or double", value);
    } else if (key == "threads" && i + 1 < narg) {
      n_threads = utils::inumeric(FLERR, arg[++i], false, lmp);
      if (n_threads < 1) error->all(FLERR, "pair_style potstill: threads is {}; must be 1 or more", n_threads);
    } else {
      error->all(FLERR,
                 "pair_style potstill: unknown or incomplete option {}; there are: precision single|double, threads N, "
                 "potstill_allow_direct",
                 key);
    }
  }
  if (potstill_use_threads(n_threads) != 0) error->all(FLERR, "pair_style potstill: {}", potstill_error());
}

void PairPotstill::coeff(int narg, char **arg) {
  const int n_types = atom->ntypes;
  if (narg < 3 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0 || narg != 3 + n_types)
    error->all(FLERR,
               "pair_coeff: potstill needs * *, a model file, and an element (or NULL) for each of the {} atom types, as: "
               "pair_coeff * * model.safetensors H C O",
               n_types);
  if (!allocated) allocate();

  path = arg[2];
  potstill_model_close(model);
  model = potstill_model_open(path.c_str(), bytes_per_number);
  if (model == nullptr) error->all(FLERR, "pair_coeff: {}", potstill_error());
  if (!potstill_model_sees_all_neighbors(model))
    error->all(FLERR,
               "pair_coeff: {}: the model sees the nearest few neighbours of each atom only; LAMMPS needs one that was trained "
               "with model.neighbors = \"all\"",
               path);
  if (potstill_model_has_direct_forces(model)) {
    if (!allows_direct_forces)
      error->all(FLERR,
                 "pair_coeff: {}: forces of the model are no gradient of its energy: energy drifts, and there is no pressure; "
                 "add potstill_allow_direct to pair_style to use it all the same",
                 path);
    if (comm->me == 0) error->warning(FLERR, "pair_style potstill: direct forces: energy drifts, pressure lacks the potential's part");
  }

  number_of_type.assign(n_types + 1, 0);
  int n_mapped = 0;
  for (int type = 1; type <= n_types; type++) {
    const char *symbol = arg[2 + type];
    if (strcmp(symbol, "NULL") == 0) continue;
    const int number = potstill_atomic_number(symbol);
    if (number == 0) error->all(FLERR, "pair_coeff: {} (atom type {}) is no element", symbol, type);
    if (!potstill_model_knows(model, number))
      error->all(FLERR, "pair_coeff: {}: the model was not trained on {} (atom type {})", path, symbol, type);
    number_of_type[type] = number;
    n_mapped++;
  }
  if (n_mapped == 0) error->all(FLERR, "pair_coeff: potstill has no atom type to work on; name an element");
  for (int i = 1; i <= n_types; i++)
    for (int j = 1; j <= n_types; j++) setflag[i][j] = number_of_type[i] != 0 && number_of_type[j] != 0;
}

void PairPotstill::init_style() {
  if (force->newton_pair == 0) error->all(FLERR, "pair_style potstill: needs newton on: forces on ghosts are sent to their owners");
  if (strcmp(update->unit_style, "metal") == 0)
    energy_unit = 1.0;
  else if (strcmp(update->unit_style, "real") == 0)
    energy_unit = EV_IN_KCAL_PER_MOL;
  else
    error->all(FLERR, "pair_style potstill: units are {}; must be metal or real", update->unit_style);
  if (atom->molecular != Atom::ATOMIC)
    for (int k = 1; k <= 3; k++)
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
        error->all(FLERR,
                   "pair_style potstill: special_bonds leaves bonded neighbours out, and the potential needs all of them; add "
                   "special_bonds lj/coul 1 1 1");
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairPotstill::init_one(int i, int j) {
  if (setflag[i][j] == 0) error->all(FLERR, "pair_style potstill: atom types {} and {} have no coefficients", i, j);
  return potstill_model_cutoff(model);
}

// Domain from LAMMPS's list, which is the same until it is built again.
void PairPotstill::make_domain() {
  const int n_all = atom->nlocal + atom->nghost;
  n_local = list->inum;
  points.assign(list->ilist, list->ilist + n_local);
  atom_of_row = points;
  std::vector<int> row_of_own(atom->nlocal, -1);
  for (int row = 0; row < n_local; row++) row_of_own[points[row]] = row;

  owners.resize(2 * static_cast<size_t>(n_all));
  for (int i = 0; i < atom->nlocal; i++) {
    owners[2 * i] = comm->me;
    owners[2 * i + 1] = i;
  }
  comm->forward_comm(this, 2);

  // Copies that are neighbours.
  std::vector<char> is_neighbor(n_all, 0);
  for (int row = 0; row < n_local; row++) {
    const int i = list->ilist[row];
    for (int k = 0; k < list->numneigh[i]; k++) is_neighbor[list->firstneigh[i][k] & NEIGHMASK] = 1;
  }
  // Copies of one atom share a row; rows of one process are side by side.
  std::vector<std::pair<int, int>> ghosts;
  for (int i = atom->nlocal; i < n_all; i++) {
    const int rank = static_cast<int>(owners[2 * i]);
    if (is_neighbor[i] && number_of_type[atom->type[i]] != 0 && rank != comm->me)
      ghosts.emplace_back(rank, static_cast<int>(owners[2 * i + 1]));
  }
  std::sort(ghosts.begin(), ghosts.end());
  ghosts.erase(std::unique(ghosts.begin(), ghosts.end()), ghosts.end());
  make_partners(ghosts, row_of_own);

  std::vector<int> point_of_atom(n_all, -1);
  numbers.clear();
  rows.clear();
  for (int row = 0; row < n_local; row++) {
    numbers.push_back(number_of_type[atom->type[points[row]]]);
    rows.push_back(row);
    point_of_atom[points[row]] = row;
  }
  atom_of_row.resize(n_local + ghosts.size(), -1);
  for (int i = atom->nlocal; i < n_all; i++) {
    const int number = number_of_type[atom->type[i]];
    if (!is_neighbor[i] || number == 0) continue;
    const std::pair<int, int> owner(static_cast<int>(owners[2 * i]), static_cast<int>(owners[2 * i + 1]));
    int row = -1;
    if (owner.first == comm->me) {
      row = row_of_own[owner.second];
      if (row < 0) continue;
    } else {
      row = n_local + static_cast<int>(std::lower_bound(ghosts.begin(), ghosts.end(), owner) - ghosts.begin());
      atom_of_row[row] = i;
    }
    point_of_atom[i] = static_cast<int>(points.size());
    points.push_back(i);
    numbers.push_back(number);
    rows.push_back(row);
  }

  first.assign(1, 0);
  neighbors.clear();
  for (int row = 0; row < n_local; row++) {
    const int i = list->ilist[row];
    for (int k = 0; k < list->numneigh[i]; k++) {
      const int point = point_of_atom[list->firstneigh[i][k] & NEIGHMASK];
      if (point >= 0) neighbors.push_back(point);
    }
    first.push_back(neighbors.size());
  }
  open_domain();
}

void PairPotstill::open_domain() {
  potstill_domain_close(domain);
  domain = potstill_domain_open(n_local, points.size(), numbers.data(), rows.data(), first.data(), neighbors.data());
  if (domain == nullptr) fail(potstill_error());
}

// Tells each process which of its atoms are needed here, and hears which of those here others need. `ghosts`: owner and its number of each
// ghost's atom, sorted.
void PairPotstill::make_partners(const std::vector<std::pair<int, int>> &ghosts, const std::vector<int> &row_of_own) {
  std::vector<int> n_needed(comm->nprocs, 0), n_asked(comm->nprocs, 0), indices;
  for (const auto &ghost : ghosts) {
    n_needed[ghost.first]++;
    indices.push_back(ghost.second);
  }
  MPI_Alltoall(n_needed.data(), 1, MPI_INT, n_asked.data(), 1, MPI_INT, world);
  partners.clear();
  int first = 0;
  for (int rank = 0; rank < comm->nprocs; rank++) {
    if (n_needed[rank] > 0 || n_asked[rank] > 0)
      partners.push_back({rank, std::vector<int>(n_asked[rank]), n_local + first, n_needed[rank]});
    first += n_needed[rank];
  }
  requests.clear();
  for (auto &partner : partners) {
    requests.resize(requests.size() + 2);
    const int start = partner.first_received - n_local;
    MPI_Irecv(partner.sent.data(), static_cast<int>(partner.sent.size()), MPI_INT, partner.rank, 0, world, &requests[requests.size() - 2]);
    MPI_Isend(indices.data() + start, partner.n_received, MPI_INT, partner.rank, 0, world, &requests[requests.size() - 1]);
  }
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  for (auto &partner : partners)
    for (int &own : partner.sent) {
      own = row_of_own[own];
      if (own < 0) fail("a neighbour of another process's atom is not in this process's list of atoms");
    }
}

void PairPotstill::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  // Between two builds of the list, atoms keep their numbers.
  if (neighbor->ago == 0 || domain == nullptr) {
    make_domain();
  } else {
    // Their types may change, as with fix atom/swap.
    bool changed = false;
    for (size_t point = 0; point < points.size(); point++) {
      const int number = number_of_type[atom->type[points[point]]];
      changed |= number != numbers[point];
      numbers[point] = number;
    }
    if (changed) open_domain();
  }

  const size_t n_rows = atom_of_row.size();
  positions.resize(3 * points.size());
  for (size_t point = 0; point < points.size(); point++)
    for (int c = 0; c < 3; c++) positions[3 * point + c] = atom->x[points[point]][c];
  energies.resize(n_local);
  forces.resize(3 * n_rows);
  if (vflag_atom) atom_virials.resize(9 * n_rows);
  double total[9] = {0.0};
  if (potstill_domain_evaluate(model, domain, static_cast<size_t>(atom->natoms), positions.data(), &PairPotstill::refresh, this,
                               energies.data(), forces.data(), total, vflag_atom ? atom_virials.data() : nullptr) != 0)
    fail(potstill_error());

  for (size_t row = 0; row < n_rows; row++)
    for (int c = 0; c < 3; c++) atom->f[atom_of_row[row]][c] += energy_unit * forces[3 * row + c];
  if (eflag_global)
    for (const double energy : energies) eng_vdwl += energy_unit * energy;
  if (eflag_atom)
    for (int row = 0; row < n_local; row++) eatom[atom_of_row[row]] += energy_unit * energies[row];
  // xx, yy, zz, xy, xz, yz of a matrix.
  static constexpr int PLACES[6][2] = {{0, 0}, {4, 4}, {8, 8}, {1, 3}, {2, 6}, {5, 7}};
  if (vflag_global)
    for (int k = 0; k < 6; k++) virial[k] += energy_unit * 0.5 * (total[PLACES[k][0]] + total[PLACES[k][1]]);
  if (vflag_atom)
    for (size_t row = 0; row < n_rows; row++)
      for (int k = 0; k < 6; k++)
        vatom[atom_of_row[row]][k] +=
            energy_unit * 0.5 * (atom_virials[9 * row + PLACES[k][0]] + atom_virials[9 * row + PLACES[k][1]]);
}

void PairPotstill::refresh(void *pair, size_t n_arrays, void *const *arrays, const size_t *widths) {
  static_cast<PairPotstill *>(pair)->exchange(n_arrays, arrays, widths);
}

// Brings rows of features or gradients to the processes that need them, each once.
void PairPotstill::exchange(size_t n_arrays, void *const *arrays, const size_t *widths) {
  timer->stamp(Timer::PAIR);
  const MPI_Datatype number = bytes_per_number == 4 ? MPI_FLOAT : MPI_DOUBLE;
  size_t n_bytes = 0;
  for (const auto &partner : partners)
    for (size_t k = 0; k < n_arrays; k++) n_bytes += partner.sent.size() * widths[k] * bytes_per_number;
  send_buffer.resize(n_bytes);
  requests.clear();
  requests.reserve(2 * n_arrays * partners.size());
  // Rows of a process are side by side: they are received in their place.
  for (const auto &partner : partners)
    for (size_t k = 0; k < n_arrays && partner.n_received > 0; k++) {
      char *to = static_cast<char *>(arrays[k]) + static_cast<size_t>(partner.first_received) * widths[k] * bytes_per_number;
      requests.emplace_back();
      MPI_Irecv(to, static_cast<int>(partner.n_received * widths[k]), number, partner.rank, static_cast<int>(k), world, &requests.back());
    }
  char *at = send_buffer.data();
  for (const auto &partner : partners)
    for (size_t k = 0; k < n_arrays && !partner.sent.empty(); k++) {
      const size_t row_bytes = widths[k] * bytes_per_number;
      char *from = at;
      for (const int row : partner.sent) {
        memcpy(at, static_cast<const char *>(arrays[k]) + row * row_bytes, row_bytes);
        at += row_bytes;
      }
      requests.emplace_back();
      MPI_Isend(from, static_cast<int>(partner.sent.size() * widths[k]), number, partner.rank, static_cast<int>(k), world, &requests.back());
    }
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  timer->stamp(Timer::COMM);
}

// Who owns each ghost.
int PairPotstill::pack_forward_comm(int n, int *atoms, double *buffer, int /*pbc_flag*/, int * /*pbc*/) {
  for (int k = 0; k < n; k++) {
    buffer[2 * k] = owners[2 * static_cast<size_t>(atoms[k])];
    buffer[2 * k + 1] = owners[2 * static_cast<size_t>(atoms[k]) + 1];
  }
  return 2 * n;
}

void PairPotstill::unpack_forward_comm(int n, int first, double *buffer) {
  memcpy(owners.data() + 2 * static_cast<size_t>(first), buffer, 2 * n * sizeof(double));
}

double PairPotstill::memory_usage() {
  const double own = static_cast<double>(positions.size() + energies.size() + forces.size() + atom_virials.size() + owners.size());
  return Pair::memory_usage() + own * sizeof(double) + static_cast<double>(atom_of_row.size() + points.size()) * sizeof(int) + static_cast<double>(send_buffer.size());
}
