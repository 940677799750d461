/* Takes memory by the page and writes to every page it got, until it is refused; then asks for more
 * a thousand times, for all there is at once, and ends with status 3. */
#include "hostile.h"

int main(void) {
    begin("memory_growth");
    const size_t page = 65536;
    size_t had = __builtin_wasm_memory_size(0), pages = had;
    /* Doubling steps, then single pages: the limit is met exactly. */
    for (size_t step = 1;;) {
        if (__builtin_wasm_memory_grow(0, step) == SIZE_MAX) {
            if (step == 1)
                break;
            step = 1;
            continue;
        }
        for (size_t i = 0; i < step; i++)
            *(volatile uint8_t *)((pages + i) * page) = 1;
        pages += step;
        step = step < 1024 ? step * 2 : step;
        if (pages + step > 65536)
            step = 1;
        if (pages == 65536)
            break;
    }
    show_number("pages", (int64_t)pages);
    int granted = 0;
    for (int i = 0; i < 1000; i++)
        granted += __builtin_wasm_memory_grow(0, 1) != SIZE_MAX;
    granted += __builtin_wasm_memory_grow(0, 65536) != SIZE_MAX;
    granted += __builtin_wasm_memory_grow(0, SIZE_MAX) != SIZE_MAX;
    show_number("granted after the refusal", granted);
    return 3;
}
