/* Energy and forces of a water molecule, from a model file: a program in C.

   cc water.c -I include -L lib -lpotstill_capi -o water && ./water model.safetensors */
#include <stdio.h>
#include "potstill.h"

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s model.safetensors\n", argv[0]);
    return 2;
  }
  const int32_t numbers[3] = {8, 1, 1};
  const double positions[9] = {0.0, 0.0, 0.119, 0.0, 0.763, -0.477, 0.0, -0.763, -0.477};
  double energy, forces[9];

  potstill_use_threads(1);
  potstill_model *model = potstill_model_open(argv[1], 4);
  if (model == NULL) {
    fprintf(stderr, "%s\n", potstill_error());
    return 1;
  }
  int status = potstill_evaluate(model, 3, numbers, positions, NULL, NULL, &energy, NULL, forces, NULL);
  if (status != 0) {
    fprintf(stderr, "%s\n", potstill_error());
  } else {
    printf("energy %.9f eV\n", energy);
    for (int atom = 0; atom < 3; atom++) {
      printf("force %.9f %.9f %.9f eV/Å\n", forces[3 * atom], forces[3 * atom + 1], forces[3 * atom + 2]);
    }
  }
  potstill_model_close(model);
  return status;
}
