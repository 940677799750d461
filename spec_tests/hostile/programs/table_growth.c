/* Grows a table of its own until that is refused; then asks for more a thousand times, for all
 * there is at once, and ends with status 3. */
#include "hostile.h"

/* C has no tables: one in assembly, and table.grow on it. */
__asm__(".globl hoard\n.tabletype hoard, externref\nhoard:\n");

static int32_t grow(int32_t by) {
    int32_t before;
    __asm__ volatile("ref.null_extern\n local.get %1\n table.grow hoard\n local.set %0"
                     : "=r"(before)
                     : "r"(by));
    return before;
}

int main(void) {
    begin("table_growth");
    int64_t elements = 0;
    for (int32_t step = 1; elements < (INT64_C(1) << 32);) {
        if (grow(step) == -1) {
            if (step == 1)
                break;
            step /= 2;
            continue;
        }
        elements += step;
        step = step < 1 << 20 ? step * 2 : step;
    }
    show_number("elements", elements);
    int granted = 0;
    for (int i = 0; i < 1000; i++)
        granted += grow(1) != -1;
    granted += grow(INT32_MAX) != -1;
    granted += grow(-1) != -1;
    show_number("granted after the refusal", granted);
    return 3;
}
