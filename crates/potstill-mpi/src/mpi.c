/* The few functions of MPI that potstill needs. What MPI calls its communicator, its types and its thread levels differs from one MPI
   to another, and only a C compiler knows. Errors end the job, as is MPI's default. */

#include <mpi.h>
#include <stddef.h>

/* Largest message in bytes: MPI counts with int. Longer ones are cut. */
#define MOST ((size_t)1 << 30)

static int size_of_part(size_t n) { return (int)(n < MOST ? n : MOST); }

/* 0, or 1 where MPI cannot be used beside threads that do not call it. */
int potstill_mpi_start(int *rank, int *n_ranks) {
  int provided = 0;
  MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, n_ranks);
  return provided < MPI_THREAD_FUNNELED;
}

void potstill_mpi_send(int to, const char *bytes, size_t n) {
  for (size_t at = 0; at < n; at += MOST) MPI_Send(bytes + at, size_of_part(n - at), MPI_BYTE, to, 0, MPI_COMM_WORLD);
}

void potstill_mpi_receive(int from, char *bytes, size_t n) {
  for (size_t at = 0; at < n; at += MOST)
    MPI_Recv(bytes + at, size_of_part(n - at), MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

void potstill_mpi_broadcast(char *bytes, size_t n) {
  for (size_t at = 0; at < n; at += MOST) MPI_Bcast(bytes + at, size_of_part(n - at), MPI_BYTE, 0, MPI_COMM_WORLD);
}

void potstill_mpi_finish(void) { MPI_Finalize(); }

void potstill_mpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }
