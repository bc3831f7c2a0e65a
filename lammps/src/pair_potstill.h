/* -*- c++ -*-
   pair_style potstill: a student of potstill in LAMMPS.

   Copyright the potstill developers. Distributed under the GNU General Public License, version 2, as LAMMPS itself; see LICENSE.
*/

#ifdef PAIR_CLASS
// clang-format off
PairStyle(potstill,PairPotstill);
// clang-format on
#else

#ifndef LMP_PAIR_POTSTILL_H
#define LMP_PAIR_POTSTILL_H

#include "pair.h"
#include "potstill.h"

#include <string>
#include <utility>
#include <vector>

namespace LAMMPS_NS {

class PairPotstill : public Pair {
 public:
  PairPotstill(class LAMMPS *);
  ~PairPotstill() override;

  void compute(int, int) override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  double memory_usage() override;

 private:
  potstill_model *model = nullptr;
  potstill_domain *domain = nullptr;
  std::string path;
  int bytes_per_number = 4;
  bool allows_direct_forces = false;
  // eV in units of this run.
  double energy_unit = 1.0;

  // Atomic number of each type; 0 for types that are another pair style's.
  std::vector<int> number_of_type;

  // Atoms of the list, then copies that are neighbours, by LAMMPS's numbers of atoms.
  std::vector<int> points;
  // Atomic numbers and rows of the points, and the points that are neighbours of each atom of the list.
  std::vector<int> numbers, rows, neighbors;
  std::vector<size_t> first;
  // Atom that stands for a row: its owner here, or one of the copies of another process's atom.
  std::vector<int> atom_of_row;
  // Process and number there of the owner of each of LAMMPS's atoms.
  std::vector<double> owners;
  std::vector<double> positions, energies, forces, atom_virials;
  int n_local = 0;

  // Rows that go to and come from another process.
  struct Partner {
    int rank;
    // Rows that it needs.
    std::vector<int> sent;
    // Rows that it owns: so many, from one on.
    int first_received, n_received;
  };
  std::vector<Partner> partners;
  std::vector<char> send_buffer;
  std::vector<MPI_Request> requests;

  void allocate();
  void make_domain();
  void open_domain();
  void make_partners(const std::vector<std::pair<int, int>> &, const std::vector<int> &);
  void exchange(size_t, void *const *, const size_t *);
  static void refresh(void *, size_t, void *const *, const size_t *);
  [[noreturn]] void fail(const std::string &);
};

}    // namespace LAMMPS_NS

#endif
#endif
