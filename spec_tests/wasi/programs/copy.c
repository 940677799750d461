/* A filter on bulk data: /inputs/big to standard output and to /outputs/big, with a sum; more than
 * any one buffer holds. */
#include "probe.h"
#include <fcntl.h>

int main(void) {
    static uint8_t buffer[5000];
    int from = open("/inputs/big", O_RDONLY);
    int to = open("/outputs/big", O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (from < 0 || to < 0)
        return 70;
    uint32_t a = 1, b = 0;
    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0)
            return 71;
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++) {
            a = (a + buffer[i]) % 65521;
            b = (b + a) % 65521;
        }
        if (write(to, buffer, (size_t)got) != got || write(1, buffer, (size_t)got) != got)
            return 72;
    }
    show_number("adler", (int64_t)((uint64_t)b << 16 | a));
    return close(from) | close(to);
}
