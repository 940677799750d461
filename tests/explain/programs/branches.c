/* A guest for coverage and the debugger; built with -g -O0 so that lines keep their code. */
#include <stdio.h>
#include <stdlib.h>

static int depth;

static int choose(int n) {
  if (n % 3 == 0) {
    depth += 2;
    return n * 2;
  }
  return n + 1;
}

int never(int n) {
  return n - 1;
}

static int nest(int n) {
  if (n == 0)
    return choose(depth);
  return nest(n - 1) + 1;
}

int main(int argc, char **argv) {
  int total = 0;
  for (int i = 0; i < 10; i++)
    total += choose(i);
  total += nest(3);
  printf("total %d\n", total);
  if (argc > 1)
    exit(atoi(argv[1]));
  if (argc > 2)
    never(argc);
  return 0;
}
