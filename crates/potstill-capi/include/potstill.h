/* C interface of potstill. Made by `cargo xtask reference` from crates/potstill-capi; do not edit.

   Functions that can fail return 0 (or a pointer) when they succeed and 1 (or NULL) when they fail; potstill_error() then has a
   message of one line. A model may be used by several threads at a time, a domain by one. Lengths are in Å, energies in eV.

   SPDX-License-Identifier: MIT OR Apache-2.0 */

#ifndef POTSTILL_H
#define POTSTILL_H

#include <stddef.h>
#include <stdint.h>

// Atoms of a process, copies of atoms around them, and which of them may be neighbours.
typedef struct potstill_domain potstill_domain;

// Model that is open.
typedef struct potstill_model potstill_model;

// Overwrites the rows of ghosts by those of the atoms that they are copies of. `arrays` has `n_arrays` arrays of rows, those of own
// atoms first, then those of ghosts; `widths` has the number of floats (or doubles, for a model of double precision) in a row of
// each. Every process calls it equally often, with the same widths, on the thread that evaluates.
typedef void (*potstill_exchange)(void *context,
                                  size_t n_arrays,
                                  void *const *arrays,
                                  const size_t *widths);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Version of the library, as `0.1.0`.
const char *potstill_version(void);

// Message of the last failure on this thread, one line in UTF-8, valid until the next failure there; empty where there was none.
const char *potstill_error(void);

// Sets the number of threads that this process evaluates with; 0: as many as there are processors. To be called once, before anything
// is evaluated; again only with the same number.
int potstill_use_threads(size_t n_threads);

// Opens a model file of a PaiNN or SchNet. `bytes_per_number` is 4 for single precision, which is the faster one and precise enough for
// molecular dynamics, or 8 for double. Returns null on failure.
//
// # Safety
// `path` is a text in UTF-8 that ends with a zero.
potstill_model *potstill_model_open(const char *path,
                                    int bytes_per_number);

// Closes a model and frees its memory; null is allowed.
//
// # Safety
// `model` is null, or from `potstill_model_open` and not used any more.
void potstill_model_close(potstill_model *model);

// Largest distance in Å at which two atoms see each other.
//
// # Safety
// `model` is from `potstill_model_open` and not closed.
double potstill_model_cutoff(const potstill_model *model);

// Whether forces come from a head of their own (1), and are no gradient of an energy: energy is not conserved, and there is no stress.
//
// # Safety
// `model` is from `potstill_model_open` and not closed.
int potstill_model_has_direct_forces(const potstill_model *model);

// Whether an atom sees all others within the cutoff (1), or the nearest few (0): then the energy jumps where these change, and domains
// cannot be evaluated.
//
// # Safety
// `model` is from `potstill_model_open` and not closed.
int potstill_model_sees_all_neighbors(const potstill_model *model);

// Largest number of floats (or doubles) that one exchange of `potstill_domain_evaluate` brings for each ghost.
//
// # Safety
// `model` is from `potstill_model_open` and not closed.
size_t potstill_model_exchanged(const potstill_model *model);

// Whether the model was trained on an element (1).
//
// # Safety
// `model` is from `potstill_model_open` and not closed.
int potstill_model_knows(const potstill_model *model, int atomic_number);

// Atomic number of an element by its symbol, such as `Si`; 0 where there is none.
//
// # Safety
// `symbol` is a text that ends with a zero.
int potstill_atomic_number(const char *symbol);

// Evaluates a system. Lengths are in Å, energies in eV.
//
// - `numbers`: atomic numbers. Shape: `[n_atoms]`.
// - `positions`, shape `[n_atoms, 3]`; they need not be wrapped into the cell.
// - `cell`: lattice vectors as rows, shape `[3, 3]`; null for a molecule. `pbc`: whether the cell repeats along each (0 or 1), shape
//   `[3]`; null: along all where there is a cell.
// - Results, each null where it is not wanted: `energy`; `atomic_energies`, shape `[n_atoms]`; `forces` in eV/Å, shape `[n_atoms, 3]`;
//   `virial`, minus the derivative of the energy with respect to strain, shape `[3, 3]`, zero for direct forces. The stress, tension
//   positive, is minus the virial over the volume.
//
// # Safety
// `model` is from `potstill_model_open` and not closed; arrays have the shapes above.
int potstill_evaluate(const potstill_model *model,
                      size_t n_atoms,
                      const int32_t *numbers,
                      const double *positions,
                      const double *cell,
                      const int32_t *pbc,
                      double *energy,
                      double *atomic_energies,
                      double *forces,
                      double *virial);

// Makes a domain, for as long as the lists of neighbours hold. Its *points* are the process's own atoms, then copies of atoms: of its
// own (in a periodic cell) or of others. Each own atom has a row of features, and so has each *ghost*, an atom of another process: its
// copies may share one. Returns null on failure.
//
// - `n_local`: number of own atoms; `n_points`: with copies.
// - `numbers`: atomic numbers of the points. Shape: `[n_points]`.
// - `rows` of the points: of an own atom its number; of a copy of an own atom the number of that; of ghosts numbers from `n_local` on,
//   none left out. Shape: `[n_points]`.
// - `first`, shape `[n_local + 1]`, and `neighbors`, shape `[first[n_local]]`: points that may be within the cutoff of own atom `i` are
//   `neighbors[first[i]]` to `neighbors[first[i + 1] - 1]`. Every pair of own atoms stands in both lists.
//
// # Safety
// Arrays have the shapes above.
potstill_domain *potstill_domain_open(size_t n_local,
                                      size_t n_points,
                                      const int32_t *numbers,
                                      const int32_t *rows,
                                      const size_t *first,
                                      const int32_t *neighbors);

// Frees a domain; null is allowed.
//
// # Safety
// `domain` is null, or from `potstill_domain_open` and not used any more.
void potstill_domain_close(potstill_domain *domain);

// Evaluates a domain. Lengths are in Å, energies in eV.
//
// - `n_atoms` of all processes.
// - `positions` of the points. Shape: `[n_points, 3]`.
// - `exchange` with the other processes, and its `context`; null where there are no ghosts.
// - Results, each null where it is not wanted: `atomic_energies` of own atoms, shape `[n_local]`; `forces` on own atoms and ghosts in
//   eV/Å, shape `[n_rows, 3]`: those on ghosts are to be added to the forces on the atoms that they are copies of; `virial`, the
//   process's part of it, shape `[3, 3]`; `atomic_virials` of own atoms and ghosts, shape `[n_rows, 3, 3]`. Virials of direct forces
//   are zero.
//
// # Safety
// `model` and `domain` are open; arrays have the shapes above; `exchange` writes nothing but the rows of ghosts.
int potstill_domain_evaluate(const potstill_model *model,
                             potstill_domain *domain,
                             size_t n_atoms,
                             const double *positions,
                             potstill_exchange exchange,
                             void *context,
                             double *atomic_energies,
                             double *forces,
                             double *virial,
                             double *atomic_virials);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* POTSTILL_H */
