/* Computes for ever without a call to the host. */
#include "hostile.h"

static volatile uint32_t counter;

int main(void) {
    begin("endless_loop");
    for (;;)
        counter++;
}
