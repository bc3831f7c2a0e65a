/* Registers pair_style potstill when the library is loaded with `plugin load`.

   Copyright the potstill developers. Distributed under the GNU General Public License, version 2, as LAMMPS itself; see LICENSE.
*/

#include "lammps.h"
#include "library.h"
#include "pair_potstill.h"

#include <string>

namespace {

// As in LAMMPS's lammpsplugin.h, which its Python package does not have.
struct Plugin {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  void *(*creator)(void *);
  void *handle;
};

using Register = void (*)(Plugin *, void *);

// Name of LAMMPS's sizes of integers, by those of the numbers of atoms and of large counts in bytes.
const char *sizes(size_t bytes_of_tag, size_t bytes_of_number) {
  return bytes_of_tag == 8 ? "BIGBIG" : bytes_of_number == 8 ? "SMALLBIG" : "SMALLSMALL";
}

LAMMPS_NS::Pair *create(LAMMPS_NS::LAMMPS *lmp) { return new LAMMPS_NS::PairPotstill(lmp); }

}    // namespace

extern "C" void lammpsplugin_init(void *lmp, void *handle, void *regfunc) {
  // Classes of another version may be laid out in another way: nothing but C functions is touched before this is known. The plugin may
  // have been found on a search path, so that a run without it goes on.
  const int version = lammps_version(lmp);
  const int bytes_of_tag = lammps_extract_setting(lmp, "tagint"), bytes_of_number = lammps_extract_setting(lmp, "bigint");
  std::string message;
  if (version != POTSTILL_LAMMPS_VERSION)
    message = "for LAMMPS " + std::to_string(POTSTILL_LAMMPS_VERSION) + ", and this is " + std::to_string(version) +
      "; compile it for this one";
  else if (bytes_of_tag != sizeof(LAMMPS_NS::tagint) || bytes_of_number != sizeof(LAMMPS_NS::bigint))
    message = std::string("with -D LAMMPS_SIZES=") + sizes(sizeof(LAMMPS_NS::tagint), sizeof(LAMMPS_NS::bigint)) +
      ", and this LAMMPS needs " + sizes(bytes_of_tag, bytes_of_number);
  if (!message.empty()) {
    message = "pair_style potstill is left out: it was compiled " + message;
    lammps_error(lmp, LMP_ERROR_WARNING, message.c_str());
    return;
  }
  static Plugin plugin;
  plugin.version = static_cast<LAMMPS_NS::LAMMPS *>(lmp)->version;
  plugin.style = "pair";
  plugin.name = "potstill";
  plugin.info = "students of potstill: SchNet and PaiNN";
  plugin.author = "the potstill developers";
  plugin.creator = reinterpret_cast<void *(*)(void *)>(&create);
  plugin.handle = handle;
  reinterpret_cast<Register>(regfunc)(&plugin, lmp);
}
